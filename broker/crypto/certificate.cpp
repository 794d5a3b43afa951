#include "crypto/certificate.hpp"

#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

using NamesOwner = Owner<GENERAL_NAMES, GENERAL_NAMES_free>;
using ConstraintsOwner = Owner<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;
using BitsOwner = Owner<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
using UsagesOwner = Owner<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using OctetsOwner = Owner<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using AuthorityKeyOwner = Owner<AUTHORITY_KEYID, AUTHORITY_KEYID_free>;

/// Decodes the one extension of this kind. False when it is malformed or there are several; true
/// with an empty `out` when there is none.
template <typename T, auto Free>
bool read_extension(const X509* certificate, int nid, Owner<T, Free>& out) {
  int critical = 0;
  out.reset(static_cast<T*>(X509_get_ext_d2i(certificate, nid, &critical, nullptr)));
  return out != nullptr || critical == -1;
}

std::string_view text_of_string(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

/// As inet_ntop writes it; hex for lengths that are no address.
std::string address_text(std::string_view bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  if ((bytes.size() != 4 && bytes.size() != 16) ||
      inet_ntop(family, bytes.data(), text, sizeof text) == nullptr) {
    return to_hex(bytes);
  }
  return text;
}

bool read_alternative_names(const X509* certificate, CertificateFields& fields) {
  NamesOwner names;
  if (!read_extension(certificate, NID_subject_alt_name, names)) {
    return false;
  }
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int index = 0; index < count; ++index) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), index);
    if (name->type == GEN_URI || name->type == GEN_DNS) {
      const std::string_view text = text_of_string(name->d.ia5);
      if (text.find('\0') != std::string_view::npos) {
        return false;
      }
      (name->type == GEN_URI ? fields.uris : fields.dns_names).emplace_back(text);
    } else if (name->type == GEN_IPADD) {
      fields.addresses.push_back(address_text(text_of_string(name->d.iPAddress)));
    }
  }
  return true;
}

bool read_usages(const X509* certificate, CertificateFields& fields) {
  BitsOwner bits;
  UsagesOwner usages;
  if (!read_extension(certificate, NID_key_usage, bits) ||
      !read_extension(certificate, NID_ext_key_usage, usages)) {
    return false;
  }
  if (bits) {
    fields.has_key_usage = true;
    fields.digital_signature = ASN1_BIT_STRING_get_bit(bits.get(), 0) != 0;
    fields.certificate_sign = ASN1_BIT_STRING_get_bit(bits.get(), 5) != 0;
  }
  fields.has_extended_key_usage = usages != nullptr;
  const int count = usages ? sk_ASN1_OBJECT_num(usages.get()) : 0;
  for (int index = 0; index < count; ++index) {
    const int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages.get(), index));
    fields.client_authentication |= nid == NID_client_auth;
    fields.server_authentication |= nid == NID_server_auth;
    fields.other_extended_usage |= nid != NID_client_auth && nid != NID_server_auth;
  }
  return true;
}

bool read_constraints(const X509* certificate, CertificateFields& fields) {
  ConstraintsOwner constraints;
  if (!read_extension(certificate, NID_basic_constraints, constraints)) {
    return false;
  }
  if (!constraints) {
    return true;
  }
  fields.is_authority = constraints->ca != 0;
  if (constraints->pathlen != nullptr) {
    const long length = ASN1_INTEGER_get(constraints->pathlen);
    if (length < 0 || length > 255) {
      return false;
    }
    fields.path_length = static_cast<std::uint32_t>(length);
  }
  return true;
}

bool read_key_ids(const X509* certificate, CertificateFields& fields) {
  OctetsOwner subject;
  AuthorityKeyOwner authority;
  if (!read_extension(certificate, NID_subject_key_identifier, subject) ||
      !read_extension(certificate, NID_authority_key_identifier, authority)) {
    return false;
  }
  if (subject) {
    fields.subject_key_id = to_hex(text_of_string(subject.get()));
  }
  if (authority && authority->keyid != nullptr) {
    fields.authority_key_id = to_hex(text_of_string(authority->keyid));
  }
  return true;
}

std::shared_ptr<x509_st> share(X509* owned) {
  return {owned, X509_free};
}

}  // namespace

Result<Certificate, Failure> Certificate::from_der(std::string_view der) {
  const ErrorQueueGuard guard;
  if (der.empty() || der.size() > certificate_bytes_max) {
    return Failure{"the certificate is empty or longer than 64 KiB"};
  }
  const unsigned char* at = as_unsigned(der);
  auto handle = share(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!handle || at != as_unsigned(der) + der.size()) {
    return Failure{"this is not an X.509 certificate in DER"};
  }
  return Certificate{std::move(handle)};
}

Result<Certificate, Failure> Certificate::from_pem(std::string_view pem) {
  const std::optional<std::string> der = pem_decode("CERTIFICATE", pem, certificate_bytes_max);
  if (!der) {
    return Failure{"no certificate in PEM found"};
  }
  return from_der(*der);
}

Result<CertificateFields, Failure> Certificate::fields() const {
  const ErrorQueueGuard guard;
  X509* certificate = handle_.get();
  CertificateFields fields;
  fields.version = static_cast<std::uint32_t>(X509_get_version(certificate) + 1);
  fields.serial = hex_of(X509_get0_serialNumber(certificate));
  fields.common_name = name_entry(X509_get_subject_name(certificate), NID_commonName);
  fields.organization = name_entry(X509_get_subject_name(certificate), NID_organizationName);
  fields.spki_der = der_of(X509_get_X509_PUBKEY(certificate), i2d_X509_PUBKEY);
  fields.fingerprint = sha256_hex(fields.spki_der);
  if (!wall_of(X509_get0_notBefore(certificate), fields.not_before) ||
      !wall_of(X509_get0_notAfter(certificate), fields.not_after)) {
    return Failure{"the certificate's validity cannot be read"};
  }
  if (!read_alternative_names(certificate, fields) || !read_usages(certificate, fields) ||
      !read_constraints(certificate, fields) || !read_key_ids(certificate, fields)) {
    return Failure{"an extension of the certificate is malformed or there twice"};
  }
  return fields;
}

std::string Certificate::der() const {
  return der_of(handle_.get(), i2d_X509);
}

std::string Certificate::pem() const {
  return pem_encode("CERTIFICATE", der());
}

bool Certificate::is_signed_by(const Certificate& issuer) const {
  const ErrorQueueGuard guard;
  EVP_PKEY* key = X509_get0_pubkey(issuer.native());
  return key != nullptr &&
         X509_NAME_cmp(X509_get_issuer_name(handle_.get()),
                       X509_get_subject_name(issuer.native())) == 0 &&
         X509_verify(handle_.get(), key) == 1;
}

}  // namespace skerry::crypto
