#include "crypto/request.hpp"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <utility>

#include "base/limits.hpp"
#include "crypto/hash.hpp"
#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

using RequestOwner = Owner<X509_REQ, X509_REQ_free>;
using NameOwner = Owner<X509_NAME, X509_NAME_free>;
using NamesOwner = Owner<GENERAL_NAMES, GENERAL_NAMES_free>;

void free_extensions(STACK_OF(X509_EXTENSION) * extensions) {
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}
using ExtensionsOwner = Owner<STACK_OF(X509_EXTENSION), free_extensions>;

NameOwner name_of(const RequestNames& names) {
  NameOwner name{X509_NAME_new()};
  for (const auto& [nid, text] : {std::pair{NID_commonName, &names.common_name},
                                  {NID_organizationName, &names.organization}}) {
    if (name && !text->empty() &&
        X509_NAME_add_entry_by_NID(name.get(), nid, MBSTRING_UTF8, as_unsigned(*text),
                                   static_cast<int>(text->size()), -1, 0) != 1) {
      name.reset();
    }
  }
  return name;
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

bool CertificateRequest::keeps_names(const RequestNames& expected) const {
  const ErrorQueueGuard guard;
  const X509_NAME* subject = X509_REQ_get_subject_name(handle_.get());
  if (X509_NAME_entry_count(subject) > 0) {
    const NameOwner wanted = name_of(expected);
    if (!wanted || X509_NAME_cmp(subject, wanted.get()) != 0) {
      return false;
    }
  }
  const ExtensionsOwner extensions{X509_REQ_get_extensions(handle_.get())};
  int critical = 0;
  const NamesOwner names{static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions.get(), NID_subject_alt_name, &critical, nullptr))};
  if (!names) {
    return critical == -1;  // none at all; otherwise malformed or there twice
  }
  const GENERAL_NAME* only =
      sk_GENERAL_NAME_num(names.get()) == 1 ? sk_GENERAL_NAME_value(names.get(), 0) : nullptr;
  if (only == nullptr || only->type != GEN_URI) {
    return false;
  }
  const ASN1_IA5STRING* text = only->d.uniformResourceIdentifier;
  return std::string_view{reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                          static_cast<std::size_t>(ASN1_STRING_length(text))} == expected.uri;
}

RequestSubject CertificateRequest::subject() const {
  const ErrorQueueGuard guard;
  const X509_NAME* name = X509_REQ_get_subject_name(handle_.get());
  const BioOwner writer = make_writer();
  RequestSubject subject;
  subject.common_name = name_entry(name, NID_commonName);
  if (writer && X509_NAME_print_ex(writer.get(), name, 0, XN_FLAG_RFC2253) >= 0) {
    subject.text = text_of(writer.get());
  }
  return subject;
}

std::string CertificateRequest::key_type() const {
  const ErrorQueueGuard guard;
  const EVP_PKEY* key = X509_REQ_get0_pubkey(handle_.get());
  if (key == nullptr) {
    return {};
  }
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    return EVP_PKEY_get_bits(key) == 384 ? "EC P-384" : "EC P-256";
  }
  return EVP_PKEY_is_a(key, "RSA") == 1 ? "RSA " + std::to_string(EVP_PKEY_get_bits(key))
                                        : "Ed25519";
}

Result<std::string, Failure> make_request(const PrivateKey& key, std::string_view common_name) {
  const ErrorQueueGuard guard;
  const RequestOwner request{X509_REQ_new()};
  X509_NAME* subject = request ? X509_REQ_get_subject_name(request.get()) : nullptr;
  const bool named =
      common_name.empty() ||
      (subject != nullptr &&
       X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, as_unsigned(common_name),
                                  static_cast<int>(common_name.size()), -1, 0) == 1);
  if (subject == nullptr || !named || X509_REQ_set_pubkey(request.get(), key.native()) != 1 ||
      X509_REQ_sign(request.get(), key.native(), signing_digest(key.native())) <= 0) {
    return Failure{"the certificate request could not be made"};
  }
  return der_of(request.get(), i2d_X509_REQ);
}

}  // namespace skerry::crypto
