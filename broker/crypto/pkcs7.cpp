#include "crypto/pkcs7.hpp"

#include <openssl/pkcs7.h>

#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

using Pkcs7Owner = Owner<PKCS7, PKCS7_free>;

}  // namespace

Result<std::string, Failure> pkcs7_from(const std::vector<Certificate>& certificates) {
  const ErrorQueueGuard guard;
  const Pkcs7Owner message{PKCS7_new()};
  if (!message || PKCS7_set_type(message.get(), NID_pkcs7_signed) != 1 ||
      PKCS7_content_new(message.get(), NID_pkcs7_data) != 1) {
    return Failure{"the PKCS#7 message could not be made"};
  }
  // Detached: a certs-only message has no content at all (RFC 7030 section 4.1.3).
  PKCS7_set_detached(message.get(), 1);
  for (const Certificate& certificate : certificates) {
    if (PKCS7_add_certificate(message.get(), certificate.native()) != 1) {
      return Failure{"a certificate could not be put into the PKCS#7 message"};
    }
  }
  return der_of(message.get(), i2d_PKCS7);
}

Result<std::vector<Certificate>, Failure> certificates_of_pkcs7(std::string_view der) {
  const ErrorQueueGuard guard;
  const unsigned char* at = as_unsigned(der);
  if (der.size() > certificate_bytes_max * static_cast<std::size_t>(certificates_max)) {
    return Failure{"the PKCS#7 message is too long"};
  }
  const Pkcs7Owner message{d2i_PKCS7(nullptr, &at, static_cast<long>(der.size()))};
  if (!message || at != as_unsigned(der) + der.size() || !PKCS7_type_is_signed(message.get()) ||
      message->d.sign == nullptr) {
    return Failure{"this is not a PKCS#7 message with certificates"};
  }
  const STACK_OF(X509)* stack = message->d.sign->cert;
  const int count = stack == nullptr ? 0 : sk_X509_num(stack);
  if (count > certificates_max) {
    return Failure{"the PKCS#7 message holds too many certificates"};
  }
  std::vector<Certificate> certificates;
  for (int index = 0; index < count; ++index) {
    X509* certificate = sk_X509_value(stack, index);
    X509_up_ref(certificate);
    certificates.emplace_back(std::shared_ptr<x509_st>{certificate, X509_free});
  }
  return certificates;
}

}  // namespace skerry::crypto
