#include "crypto/crl.hpp"

#include <openssl/x509v3.h>

#include <utility>

#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

using CrlOwner = Owner<X509_CRL, X509_CRL_free>;
using RevokedOwner = Owner<X509_REVOKED, X509_REVOKED_free>;
using TimeOwner = Owner<ASN1_TIME, ASN1_TIME_free>;
using IntegerOwner = Owner<ASN1_INTEGER, ASN1_INTEGER_free>;
using EnumeratedOwner = Owner<ASN1_ENUMERATED, ASN1_ENUMERATED_free>;
using AuthorityKeyOwner = Owner<AUTHORITY_KEYID, AUTHORITY_KEYID_free>;

constexpr std::size_t serial_digits_max = 40;  // 20 octets (RFC 5280 section 4.1.2.2)

IntegerOwner integer_of_hex(const std::string& hex) {
  BIGNUM* parsed = nullptr;
  const int digits =
      hex.empty() || hex.size() > serial_digits_max ? 0 : BN_hex2bn(&parsed, hex.c_str());
  const BignumOwner number{parsed};
  if (digits <= 0 || static_cast<std::size_t>(digits) != hex.size()) {
    return nullptr;
  }
  return IntegerOwner{BN_to_ASN1_INTEGER(number.get(), nullptr)};
}

TimeOwner time_of(WallTime time) {
  TimeOwner field{ASN1_TIME_new()};
  return field && set_time(field.get(), time) ? std::move(field) : nullptr;
}

bool add_reason(X509_REVOKED* revoked, std::uint8_t reason) {
  const EnumeratedOwner value{ASN1_ENUMERATED_new()};
  return value && ASN1_ENUMERATED_set(value.get(), reason) == 1 &&
         X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value.get(), 0, X509V3_ADD_DEFAULT) ==
             1;
}

bool add_entry(X509_CRL* list, const RevokedCertificate& entry) {
  const IntegerOwner serial = integer_of_hex(entry.serial);
  const TimeOwner time = time_of(entry.revoked);
  RevokedOwner revoked{X509_REVOKED_new()};
  if (!serial || !time || !revoked ||
      X509_REVOKED_set_serialNumber(revoked.get(), serial.get()) != 1 ||
      X509_REVOKED_set_revocationDate(revoked.get(), time.get()) != 1 ||
      (entry.reason != 0 && !add_reason(revoked.get(), entry.reason))) {
    return false;
  }
  if (X509_CRL_add0_revoked(list, revoked.get()) != 1) {
    return false;
  }
  static_cast<void>(revoked.release());  // the list owns it
  return true;
}

bool set_head(X509_CRL* list, const CrlProfile& profile, const Certificate& issuer) {
  const TimeOwner this_update = time_of(profile.this_update);
  const TimeOwner next_update = time_of(profile.next_update);
  return this_update && next_update && X509_CRL_set_version(list, X509_CRL_VERSION_2) == 1 &&
         X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer.native())) == 1 &&
         X509_CRL_set1_lastUpdate(list, this_update.get()) == 1 &&
         X509_CRL_set1_nextUpdate(list, next_update.get()) == 1;
}

bool add_extensions(X509_CRL* list, const CrlProfile& profile, const Certificate& issuer) {
  const IntegerOwner number{ASN1_INTEGER_new()};
  const AuthorityKeyOwner authority{AUTHORITY_KEYID_new()};
  const ASN1_OCTET_STRING* key_id = X509_get0_subject_key_id(issuer.native());
  if (!number || !authority || key_id == nullptr ||
      ASN1_INTEGER_set_uint64(number.get(), profile.number) != 1) {
    return false;
  }
  authority->keyid = ASN1_OCTET_STRING_dup(key_id);
  return X509_CRL_add1_ext_i2d(list, NID_authority_key_identifier, authority.get(), 0,
                               X509V3_ADD_DEFAULT) == 1 &&
         X509_CRL_add1_ext_i2d(list, NID_crl_number, number.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

bool read_number(const X509_CRL* list, std::uint64_t& number) {
  int critical = 0;
  const IntegerOwner value{
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(list, NID_crl_number, &critical, nullptr))};
  return value && ASN1_INTEGER_get_uint64(&number, value.get()) == 1;
}

bool read_entry(const X509_REVOKED* revoked, RevokedCertificate& entry) {
  int critical = 0;
  const EnumeratedOwner reason{static_cast<ASN1_ENUMERATED*>(
      X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, &critical, nullptr))};
  entry.serial = hex_of(X509_REVOKED_get0_serialNumber(revoked));
  entry.reason = reason ? static_cast<std::uint8_t>(ASN1_ENUMERATED_get(reason.get())) : 0;
  return wall_of(X509_REVOKED_get0_revocationDate(revoked), entry.revoked);
}

}  // namespace

Result<std::string, Failure> make_crl(const CrlProfile& profile, const Certificate& issuer,
                                      const PrivateKey& issuer_key) {
  const ErrorQueueGuard guard;
  const CrlOwner list{X509_CRL_new()};
  if (!list || !set_head(list.get(), profile, issuer)) {
    return Failure{"the revocation list could not be made"};
  }
  for (const RevokedCertificate& entry : profile.entries) {
    if (!add_entry(list.get(), entry)) {
      return Failure{"an entry of the revocation list is not possible"};
    }
  }
  if (X509_CRL_sort(list.get()) != 1 || !add_extensions(list.get(), profile, issuer)) {
    return Failure{"the revocation list's extensions could not be made"};
  }
  EVP_PKEY* key = issuer_key.native();
  if (key == nullptr || X509_CRL_sign(list.get(), key, signing_digest(key)) <= 0) {
    return Failure{"the revocation list could not be signed"};
  }
  return der_of(list.get(), i2d_X509_CRL);
}

Result<CrlFields, Failure> read_crl(std::string_view der, const Certificate& issuer) {
  const ErrorQueueGuard guard;
  if (der.empty() || der.size() > crl_bytes_max) {
    return Failure{"the revocation list is empty or too long"};
  }
  const unsigned char* at = as_unsigned(der);
  const CrlOwner list{d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size()))};
  if (!list || at != as_unsigned(der) + der.size()) {
    return Failure{"this is not a revocation list in DER"};
  }
  if (X509_CRL_verify(list.get(), X509_get0_pubkey(issuer.native())) != 1) {
    return Failure{"the revocation list is signed by somebody else"};
  }
  CrlFields fields;
  if (!read_number(list.get(), fields.number) ||
      !wall_of(X509_CRL_get0_lastUpdate(list.get()), fields.this_update) ||
      !wall_of(X509_CRL_get0_nextUpdate(list.get()), fields.next_update)) {
    return Failure{"the revocation list lacks its number or its times"};
  }
  STACK_OF(X509_REVOKED)* stack = X509_CRL_get_REVOKED(list.get());
  const int count = stack == nullptr ? 0 : sk_X509_REVOKED_num(stack);
  for (int index = 0; index < count; ++index) {
    RevokedCertificate entry;
    if (!read_entry(sk_X509_REVOKED_value(stack, index), entry)) {
      return Failure{"an entry of the revocation list cannot be read"};
    }
    fields.entries.push_back(std::move(entry));
  }
  return fields;
}

}  // namespace skerry::crypto
