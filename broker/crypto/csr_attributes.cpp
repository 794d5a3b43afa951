#include "crypto/csr_attributes.hpp"

#include <openssl/objects.h>

#include "base/assert.hpp"
#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

constexpr char tag_integer = 0x02;
constexpr char tag_sequence = 0x30;
constexpr char tag_set = 0x31;
constexpr std::size_t short_length_max = 127;

/// Tag, length, content; everything here is short.
std::string element(char tag, const std::string& content) {
  SKERRY_ASSERT(content.size() <= short_length_max);
  return std::string{tag, static_cast<char>(content.size())} + content;
}

std::string object_id(int nid) {
  return der_of(OBJ_nid2obj(nid), i2d_ASN1_OBJECT);
}

std::string attribute(int nid, const std::string& values) {
  return element(tag_sequence, object_id(nid) + element(tag_set, values));
}

}  // namespace

std::string csr_attributes_der() {
  const std::string rsa_bits = element(tag_integer, {0x08, 0x00});  // 2048
  return element(tag_sequence,
                 object_id(NID_ecdsa_with_SHA256) +
                     attribute(NID_X9_62_id_ecPublicKey,
                               object_id(NID_X9_62_prime256v1) + object_id(NID_secp384r1)) +
                     object_id(NID_ecdsa_with_SHA384) + object_id(NID_ED25519) +
                     attribute(NID_rsaEncryption, rsa_bits) +
                     object_id(NID_sha256WithRSAEncryption));
}

}  // namespace skerry::crypto
