#include "crypto/request.hpp"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "base/limits.hpp"
#include "crypto/hash.hpp"
#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

using RequestOwner = Owner<X509_REQ, X509_REQ_free>;
using NamesOwner = Owner<GENERAL_NAMES, GENERAL_NAMES_free>;

void free_extensions(STACK_OF(X509_EXTENSION) * extensions) {
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}
using ExtensionsOwner = Owner<STACK_OF(X509_EXTENSION), free_extensions>;

/// DER of the alternative names; empty when there are none. False when they are malformed or there
/// twice.
bool read_names(const STACK_OF(X509_EXTENSION) * extensions, std::string& der) {
  int critical = 0;
  const NamesOwner names{static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, nullptr))};
  if (names) {
    der = der_of(names.get(), i2d_GENERAL_NAMES);
  }
  return names || critical == -1;
}

bool is_accepted_signature(int nid) noexcept {
  switch (nid) {
    case NID_ecdsa_with_SHA256:
    case NID_ecdsa_with_SHA384:
    case NID_ecdsa_with_SHA512:
    case NID_sha256WithRSAEncryption:
    case NID_sha384WithRSAEncryption:
    case NID_sha512WithRSAEncryption:
    case NID_ED25519:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<CertificateRequest, Failure> CertificateRequest::from_der(std::string_view der) {
  const ErrorQueueGuard guard;
  if (der.empty() || der.size() > enrolment_bytes_max) {
    return Failure{"the certificate request is empty or longer than 64 KiB"};
  }
  const unsigned char* at = as_unsigned(der);
  CertificateRequest request;
  request.handle_ = {d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())), X509_REQ_free};
  if (!request.handle_ || at != as_unsigned(der) + der.size()) {
    return Failure{"this is not a PKCS#10 certificate request in DER"};
  }
  request.spki_der_ = der_of(X509_REQ_get_X509_PUBKEY(request.handle_.get()), i2d_X509_PUBKEY);
  request.fingerprint_ = sha256_hex(request.spki_der_);
  return request;
}

std::string_view CertificateRequest::check_key() const {
  const ErrorQueueGuard guard;
  const std::string_view reason = check_public_key(X509_REQ_get0_pubkey(handle_.get()));
  if (!reason.empty()) {
    return reason;
  }
  if (!is_accepted_signature(X509_REQ_get_signature_nid(handle_.get()))) {
    return "the request is signed by an algorithm that is not accepted; use SHA-256 or better";
  }
  return {};
}

bool CertificateRequest::is_signed_by_own_key() const {
  const ErrorQueueGuard guard;
  EVP_PKEY* key = X509_REQ_get0_pubkey(handle_.get());
  return key != nullptr && X509_REQ_verify(handle_.get(), key) == 1;
}

bool CertificateRequest::keeps_names_of(const Certificate& certificate) const {
  const ErrorQueueGuard guard;
  const X509_NAME* subject = X509_REQ_get_subject_name(handle_.get());
  if (X509_NAME_entry_count(subject) > 0 &&
      X509_NAME_cmp(subject, X509_get_subject_name(certificate.native())) != 0) {
    return false;
  }
  const ExtensionsOwner extensions{X509_REQ_get_extensions(handle_.get())};
  std::string asked;
  std::string present;
  if (!read_names(extensions.get(), asked) ||
      !read_names(X509_get0_extensions(certificate.native()), present)) {
    return false;
  }
  return asked.empty() || asked == present;
}

Result<std::string, Failure> make_request(const PrivateKey& key, std::string_view common_name) {
  const ErrorQueueGuard guard;
  const RequestOwner request{X509_REQ_new()};
  X509_NAME* subject = request ? X509_REQ_get_subject_name(request.get()) : nullptr;
  if (subject == nullptr ||
      X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, as_unsigned(common_name),
                                 static_cast<int>(common_name.size()), -1, 0) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.native()) != 1 ||
      X509_REQ_sign(request.get(), key.native(), signing_digest(key.native())) <= 0) {
    return Failure{"the certificate request could not be made"};
  }
  return der_of(request.get(), i2d_X509_REQ);
}

}  // namespace skerry::crypto
