// Writing certificates. Everything in them comes from the profile; serial and key ids are made
// here.
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "crypto/certificate.hpp"
#include "crypto/openssl.hpp"
#include "crypto/random.hpp"

namespace skerry::crypto {

namespace {

using CertificateOwner = Owner<X509, X509_free>;
using KeyOwner = Owner<EVP_PKEY, EVP_PKEY_free>;
using NamesOwner = Owner<GENERAL_NAMES, GENERAL_NAMES_free>;
using ConstraintsOwner = Owner<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;
using BitsOwner = Owner<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
using UsagesOwner = Owner<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using OctetsOwner = Owner<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using AuthorityKeyOwner = Owner<AUTHORITY_KEYID, AUTHORITY_KEYID_free>;
using NameOwner = Owner<X509_NAME, X509_NAME_free>;
using PointOwner = Owner<DIST_POINT, DIST_POINT_free>;
using PointsOwner = Owner<CRL_DIST_POINTS, CRL_DIST_POINTS_free>;

constexpr std::size_t serial_bytes = 16;
constexpr std::size_t key_id_bytes = 20;

bool add_extension(X509* certificate, int nid, void* value, bool critical) {
  return value != nullptr &&
         X509_add1_ext_i2d(certificate, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

/// 128 random bits, positive and not zero (RFC 5280 section 4.1.2.2).
bool set_serial(X509* certificate) {
  std::string bytes = random_bytes(serial_bytes);
  if (std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; })) {
    bytes.back() = 1;
  }
  const BignumOwner number{BN_bin2bn(as_unsigned(bytes), static_cast<int>(bytes.size()), nullptr)};
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool add_name_entry(X509_NAME* name, int nid, const std::string& text) {
  return text.empty() || X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, as_unsigned(text),
                                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool set_names(X509* certificate, const CertificateProfile& profile, const Certificate& issuer) {
  const NameOwner subject{X509_NAME_new()};
  if (!subject || !add_name_entry(subject.get(), NID_commonName, profile.common_name) ||
      !add_name_entry(subject.get(), NID_organizationName, profile.organization) ||
      X509_set_subject_name(certificate, subject.get()) != 1) {
    return false;
  }
  X509_NAME* name = issuer ? X509_get_subject_name(issuer.native()) : subject.get();
  return X509_set_issuer_name(certificate, name) == 1;
}

bool set_validity(X509* certificate, const CertificateProfile& profile, const Certificate& issuer) {
  WallTime not_after = profile.not_after;
  if (issuer) {
    WallTime issuer_end{};
    if (!wall_of(X509_get0_notAfter(issuer.native()), issuer_end)) {
      return false;
    }
    not_after = std::min(not_after, issuer_end);
  }
  return profile.not_before < not_after &&
         set_time(X509_getm_notBefore(certificate), profile.not_before) &&
         set_time(X509_getm_notAfter(certificate), not_after);
}

bool set_key(X509* certificate, std::string_view spki_der) {
  const unsigned char* at = as_unsigned(spki_der);
  const KeyOwner key{d2i_PUBKEY(nullptr, &at, static_cast<long>(spki_der.size()))};
  return key && at == as_unsigned(spki_der) + spki_der.size() &&
         X509_set_pubkey(certificate, key.get()) == 1;
}

bool add_constraints(X509* certificate, const CertificateProfile& profile) {
  const ConstraintsOwner constraints{BASIC_CONSTRAINTS_new()};
  if (!constraints) {
    return false;
  }
  constraints->ca = profile.is_authority ? 0xFF : 0;
  if (profile.is_authority && profile.path_length) {
    constraints->pathlen = ASN1_INTEGER_new();
    if (constraints->pathlen == nullptr ||
        ASN1_INTEGER_set(constraints->pathlen, static_cast<long>(*profile.path_length)) != 1) {
      return false;
    }
  }
  return add_extension(certificate, NID_basic_constraints, constraints.get(), true);
}

bool add_usages(X509* certificate, const CertificateProfile& profile) {
  const BitsOwner bits{ASN1_BIT_STRING_new()};
  const UsagesOwner usages{EXTENDED_KEY_USAGE_new()};
  if (!bits || !usages) {
    return false;
  }
  if (profile.is_authority) {
    ASN1_BIT_STRING_set_bit(bits.get(), 5, 1);  // keyCertSign
    ASN1_BIT_STRING_set_bit(bits.get(), 6, 1);  // cRLSign
  } else {
    ASN1_BIT_STRING_set_bit(bits.get(), 0, 1);  // digitalSignature
  }
  if (profile.client_authentication) {
    sk_ASN1_OBJECT_push(usages.get(), OBJ_nid2obj(NID_client_auth));
  }
  if (profile.server_authentication) {
    sk_ASN1_OBJECT_push(usages.get(), OBJ_nid2obj(NID_server_auth));
  }
  return add_extension(certificate, NID_key_usage, bits.get(), true) &&
         (sk_ASN1_OBJECT_num(usages.get()) == 0 ||
          add_extension(certificate, NID_ext_key_usage, usages.get(), false));
}

bool push_name(GENERAL_NAMES* names, int type, const std::string& text) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  void* value = nullptr;
  if (type == GEN_IPADD) {
    value = a2i_IPADDRESS(text.c_str());
  } else {
    ASN1_IA5STRING* string = ASN1_IA5STRING_new();
    ASN1_STRING_set(string, text.data(), static_cast<int>(text.size()));
    value = string;
  }
  if (name == nullptr || value == nullptr) {
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value);
  sk_GENERAL_NAME_push(names, name);
  return true;
}

bool add_alternative_names(X509* certificate, const CertificateProfile& profile) {
  const NamesOwner names{GENERAL_NAMES_new()};
  bool good = names != nullptr;
  const std::pair<int, const std::vector<std::string>*> lists[] = {
      {GEN_URI, &profile.uris}, {GEN_DNS, &profile.dns_names}, {GEN_IPADD, &profile.addresses}};
  for (const auto& [type, list] : lists) {
    for (const std::string& text : *list) {
      good = good && push_name(names.get(), type, text);
    }
  }
  return good && (sk_GENERAL_NAME_num(names.get()) == 0 ||
                  add_extension(certificate, NID_subject_alt_name, names.get(), false));
}

/// Key ids are the first 160 bits of the SHA-256 of the key's bits (RFC 7093 section 2, method 1).
bool add_key_ids(X509* certificate, const Certificate& issuer) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  const OctetsOwner subject{ASN1_OCTET_STRING_new()};
  if (!subject || X509_pubkey_digest(certificate, EVP_sha256(), digest, &size) != 1 ||
      ASN1_OCTET_STRING_set(subject.get(), digest, key_id_bytes) != 1 ||
      !add_extension(certificate, NID_subject_key_identifier, subject.get(), false)) {
    return false;
  }
  const ASN1_OCTET_STRING* key_id =
      issuer ? X509_get0_subject_key_id(issuer.native()) : subject.get();
  const AuthorityKeyOwner authority{AUTHORITY_KEYID_new()};
  if (key_id == nullptr || !authority) {
    return false;
  }
  authority->keyid = ASN1_OCTET_STRING_dup(key_id);
  return add_extension(certificate, NID_authority_key_identifier, authority.get(), false);
}

/// RFC 5280 section 4.2.1.13: one point with one URI.
bool add_crl_point(X509* certificate, const std::string& url) {
  if (url.empty()) {
    return true;
  }
  PointOwner point{DIST_POINT_new()};
  const PointsOwner points{CRL_DIST_POINTS_new()};
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  if (!point || !points || names == nullptr ||
      (point->distpoint = DIST_POINT_NAME_new()) == nullptr) {
    GENERAL_NAMES_free(names);
    return false;
  }
  point->distpoint->type = 0;  // fullName
  point->distpoint->name.fullname = names;
  if (!push_name(names, GEN_URI, url) || sk_DIST_POINT_push(points.get(), point.get()) <= 0) {
    return false;
  }
  static_cast<void>(point.release());  // the list owns it
  return add_extension(certificate, NID_crl_distribution_points, points.get(), false);
}

}  // namespace

Result<Certificate, Failure> issue_certificate(const CertificateProfile& profile,
                                               const Certificate& issuer,
                                               const PrivateKey& issuer_key) {
  const ErrorQueueGuard guard;
  CertificateOwner certificate{X509_new()};
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !set_serial(certificate.get())) {
    return Failure{"the certificate could not be made"};
  }
  if (!set_names(certificate.get(), profile, issuer)) {
    return Failure{"the certificate's subject is not possible"};
  }
  if (!set_validity(certificate.get(), profile, issuer)) {
    return Failure{"the certificate would end before it begins; has its issuer expired?"};
  }
  if (!set_key(certificate.get(), profile.spki_der)) {
    return Failure{"the public key cannot be read"};
  }
  if (!add_constraints(certificate.get(), profile) || !add_usages(certificate.get(), profile) ||
      !add_key_ids(certificate.get(), issuer)) {
    return Failure{"the certificate's extensions could not be made"};
  }
  if (!add_alternative_names(certificate.get(), profile)) {
    return Failure{"one of the certificate's names or addresses is not possible"};
  }
  if (!add_crl_point(certificate.get(), profile.crl_url)) {
    return Failure{"the certificate's CRL distribution point is not possible"};
  }
  EVP_PKEY* key = issuer_key.native();
  if (key == nullptr || X509_sign(certificate.get(), key, signing_digest(key)) <= 0) {
    return Failure{"the certificate could not be signed"};
  }
  return Certificate{std::shared_ptr<x509_st>{certificate.release(), X509_free}};
}

}  // namespace skerry::crypto
