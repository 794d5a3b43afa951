#include "crypto/key.hpp"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include "crypto/hash.hpp"
#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

constexpr std::size_t pem_bytes_max = 64 * 1024;
constexpr int rsa_bits_min = 2048;
constexpr int rsa_bits_max = 4096;  // more costs whoever verifies it too much
constexpr BN_ULONG rsa_exponent_min = 65537;

std::shared_ptr<evp_pkey_st> share(EVP_PKEY* owned) {
  return {owned, EVP_PKEY_free};
}

/// There is nobody to type a passphrase: never ask for one.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

std::string_view check_elliptic(const EVP_PKEY* key) {
  int is_explicit = 0;
  if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) ==
          1 &&
      is_explicit != 0) {
    return "the elliptic curve must be named, not spelled out";
  }
  char group[64] = {};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1) {
    return "the elliptic curve is unknown; use P-256, P-384, Ed25519 or RSA with 2048 bits or more";
  }
  const std::string_view name{group, size};
  if (name != "prime256v1" && name != "secp384r1") {
    return "the elliptic curve is not accepted; use P-256 or P-384";
  }
  return {};
}

std::string_view check_rsa(const EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  if (bits < rsa_bits_min) {
    return "the RSA key is too short; use 2048 bits or more";
  }
  if (bits > rsa_bits_max) {
    return "the RSA key is too long; use at most 4096 bits";
  }
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &number);
  const BignumOwner exponent{number};
  const BignumOwner least{BN_new()};
  if (!exponent || !least || BN_set_word(least.get(), rsa_exponent_min) != 1 ||
      BN_cmp(exponent.get(), least.get()) < 0 || BN_is_odd(exponent.get()) == 0 ||
      BN_num_bits(exponent.get()) > 256) {
    return "the RSA key's public exponent is not accepted; use 65537";
  }
  return {};
}

}  // namespace

Result<PrivateKey, Failure> PrivateKey::generate() {
  const ErrorQueueGuard guard;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  if (key == nullptr) {
    return Failure{"a P-256 key could not be generated"};
  }
  return PrivateKey{share(key)};
}

Result<PrivateKey, Failure> PrivateKey::from_pem(std::string_view pem) {
  const ErrorQueueGuard guard;
  if (pem.size() > pem_bytes_max) {
    return Failure{"the private key is longer than 64 KiB"};
  }
  const BioOwner reader = reader_of(pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(reader.get(), nullptr, no_passphrase, nullptr);
  if (key == nullptr) {
    return Failure{"no private key in PEM without a passphrase found"};
  }
  PrivateKey loaded{share(key)};
  if (const std::string_view reason = check_public_key(key); !reason.empty()) {
    return Failure{reason.data()};  // static and closed by a NUL
  }
  return loaded;
}

std::string PrivateKey::pem() const {
  const BioOwner writer = make_writer();
  PEM_write_bio_PKCS8PrivateKey(writer.get(), handle_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(writer.get());
}

std::string PrivateKey::spki_der() const {
  return der_of(handle_.get(), i2d_PUBKEY);
}

std::string PrivateKey::fingerprint() const {
  return sha256_hex(spki_der());
}

std::string_view check_public_key(std::string_view spki_der) {
  const ErrorQueueGuard guard;
  const unsigned char* at = as_unsigned(spki_der);
  const std::shared_ptr<evp_pkey_st> key =
      share(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki_der.size())));
  if (!key || at != as_unsigned(spki_der) + spki_der.size()) {
    return "the public key cannot be read";
  }
  return check_public_key(key.get());
}

std::string_view check_public_key(const evp_pkey_st* key) {
  if (key == nullptr) {
    return "the public key cannot be read";
  }
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    return check_elliptic(key);
  }
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    return check_rsa(key);
  }
  if (EVP_PKEY_is_a(key, "ED25519") == 1) {
    return {};
  }
  return "this kind of key is not accepted; use P-256, P-384, Ed25519 or RSA with 2048 bits or "
         "more";
}

}  // namespace skerry::crypto
