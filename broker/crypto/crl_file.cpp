// Revocation lists that others have made, in the forms they are published in.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "crypto/crl.hpp"
#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

using CrlOwner = Owner<X509_CRL, X509_CRL_free>;

constexpr std::string_view pem_begin = "-----BEGIN ";

bool has_critical_extension(const X509_CRL* list) {
  return X509_CRL_get_ext_by_critical(list, 1, -1) >= 0;
}

std::optional<Failure> check(X509_CRL* list, X509* issuer) {
  if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(issuer)) != 0) {
    return Failure{"the revocation list is of another issuer than the client CA"};
  }
  // All bits are set when the certificate restricts nothing.
  if ((X509_get_key_usage(issuer) & KU_CRL_SIGN) == 0) {
    return Failure{"the client CA may not sign revocation lists (key usage cRLSign)"};
  }
  if (X509_CRL_verify(list, X509_get0_pubkey(issuer)) != 1) {
    return Failure{"the revocation list is not signed by the client CA"};
  }
  if (has_critical_extension(list)) {
    return Failure{"the revocation list is a delta, an indirect or a partial one"};
  }
  return std::nullopt;
}

std::optional<Failure> add(X509_CRL* list, RevokedSerials& found) {
  if (const ASN1_TIME* next = X509_CRL_get0_nextUpdate(list)) {
    WallTime time{};
    if (!wall_of(next, time)) {
      return Failure{"the revocation list's next update cannot be read"};
    }
    found.next_update = std::min(found.next_update, time);
  }
  STACK_OF(X509_REVOKED)* stack = X509_CRL_get_REVOKED(list);
  const int count = stack == nullptr ? 0 : sk_X509_REVOKED_num(stack);
  if (found.serials.size() + static_cast<std::size_t>(count) > crl_entries_max) {
    return Failure{"the revocation lists have too many entries"};
  }
  for (int index = 0; index < count; ++index) {
    const X509_REVOKED* entry = sk_X509_REVOKED_value(stack, index);
    if (X509_REVOKED_get_ext_by_critical(entry, 1, -1) >= 0) {
      return Failure{"the revocation list has entries of other issuers"};
    }
    found.serials.push_back(hex_of(X509_REVOKED_get0_serialNumber(entry)));
  }
  return std::nullopt;
}

Result<std::vector<CrlOwner>, Failure> lists_of_pem(std::string_view text) {
  std::vector<CrlOwner> lists;
  const BioOwner reader = reader_of(text);
  while (CrlOwner list{PEM_read_bio_X509_CRL(reader.get(), nullptr, nullptr, nullptr)}) {
    if (lists.size() == crl_lists_max) {
      return Failure{"there are too many revocation lists in one file"};
    }
    lists.push_back(std::move(list));
  }
  const unsigned long error = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (lists.empty() || !at_end) {
    return Failure{"this is not a whole revocation list in PEM"};
  }
  return lists;
}

Result<std::vector<CrlOwner>, Failure> lists_of(std::string_view text) {
  if (text.empty() || text.size() > crl_bytes_max) {
    return Failure{"the revocation list is empty or too long"};
  }
  if (text.find(pem_begin) != std::string_view::npos) {
    return lists_of_pem(text);
  }
  const unsigned char* at = as_unsigned(text);
  std::vector<CrlOwner> lists;
  lists.emplace_back(d2i_X509_CRL(nullptr, &at, static_cast<long>(text.size())));
  if (!lists.front() || at != as_unsigned(text) + text.size()) {
    return Failure{"this is not a revocation list in PEM or DER"};
  }
  return lists;
}

}  // namespace

Result<RevokedSerials, Failure> read_revoked_serials(std::string_view text,
                                                     const Certificate& issuer) {
  const ErrorQueueGuard guard;
  const auto lists = lists_of(text);
  if (!lists) {
    return lists.error();
  }
  RevokedSerials found;
  for (const CrlOwner& list : *lists) {
    if (const auto wrong = check(list.get(), issuer.native())) {
      return *wrong;
    }
    if (const auto wrong = add(list.get(), found)) {
      return *wrong;
    }
  }
  std::sort(found.serials.begin(), found.serials.end());
  found.serials.erase(std::unique(found.serials.begin(), found.serials.end()), found.serials.end());
  return found;
}

}  // namespace skerry::crypto
