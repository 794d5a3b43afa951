// Fuzz target of everything an enrolment request or a certificate goes through before anybody is
// believed: base64, PEM, PKCS#10, X.509, PKCS#7.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "crypto/certificate.hpp"
#include "crypto/encoding.hpp"
#include "crypto/pkcs7.hpp"
#include "crypto/request.hpp"

namespace {

constexpr std::size_t bytes_max = 64 * 1024;

void take_der(std::string_view der) {
  using namespace skerry::crypto;
  if (const auto request = CertificateRequest::from_der(der)) {
    if (request->check_key().empty()) {
      static_cast<void>(request->is_signed_by_own_key());
    }
    SKERRY_ASSERT(request->fingerprint().size() == 64);
  }
  if (const auto certificate = Certificate::from_der(der)) {
    static_cast<void>(certificate->fields().has_value());
    static_cast<void>(certificate->is_signed_by(*certificate));
  }
  static_cast<void>(certificates_of_pkcs7(der).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input{reinterpret_cast<const char*>(data), size};
  take_der(input);
  if (const auto der = skerry::crypto::base64_decode(input, bytes_max)) {
    take_der(*der);
    SKERRY_ASSERT(
        skerry::crypto::base64_decode(skerry::crypto::base64_encode(*der, 64), bytes_max) == der);
  }
  if (const auto der = skerry::crypto::pem_decode("CERTIFICATE REQUEST", input, bytes_max)) {
    take_der(*der);
  }
  return 0;
}
