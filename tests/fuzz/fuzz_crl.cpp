// Fuzz target of revocation lists: files that an operator was handed and the list that an earlier
// run has left. The first byte chooses whether the rest is a file as it is, or a list that is
// signed here first, without which no input would get past the signature, in DER or twice in PEM.
#include <openssl/x509.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "authority.hpp"
#include "base/assert.hpp"
#include "crypto/crl.hpp"
#include "crypto/encoding.hpp"
#include "crypto/openssl.hpp"

namespace {

using namespace skerry;

using fuzz::Authority;

void read(const Authority& issuer, std::string_view text) {
  if (const auto found = crypto::read_revoked_serials(text, issuer.certificate)) {
    SKERRY_ASSERT(std::is_sorted(found->serials.begin(), found->serials.end()));
    SKERRY_ASSERT(std::adjacent_find(found->serials.begin(), found->serials.end()) ==
                  found->serials.end());
    SKERRY_ASSERT(found->serials.size() <= crypto::crl_entries_max);
  }
  static_cast<void>(crypto::read_crl(text, issuer.certificate).has_value());
}

/// The list of `der` as one of `issuer`; empty when it is no list.
std::string sign(const Authority& issuer, std::string_view der) {
  const crypto::ErrorQueueGuard guard;
  const unsigned char* at = crypto::as_unsigned(der);
  const crypto::Owner<X509_CRL, X509_CRL_free> list{
      d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size()))};
  if (!list ||
      X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuer.certificate.native())) !=
          1 ||
      X509_CRL_sign(list.get(), issuer.key.native(), EVP_sha256()) <= 0) {
    return {};
  }
  return crypto::der_of(list.get(), i2d_X509_CRL);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Authority issuer;
  if (size == 0) {
    return 0;
  }
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
  if (data[0] % 3 == 0) {
    read(issuer, input);
    return 0;
  }
  const std::string der = sign(issuer, input);
  if (data[0] % 3 == 1) {
    read(issuer, der);
  } else if (!der.empty()) {
    const std::string pem = crypto::pem_encode("X509 CRL", der);
    read(issuer, pem + pem);
  }
  return 0;
}
