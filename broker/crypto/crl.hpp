// Certificate revocation lists, version 2 (RFC 5280 section 5): written whole with number, key id
// of the issuer, reasons and the time of the next one, and read back for what is kept of an earlier
// run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "crypto/certificate.hpp"
#include "crypto/failure.hpp"
#include "crypto/key.hpp"

namespace skerry::crypto {

/// Longest list that is read back.
inline constexpr std::size_t crl_bytes_max = 64 * 1024 * 1024;

struct RevokedCertificate {
  std::string serial;  ///< hex, as CertificateFields has it
  WallTime revoked{};
  std::uint8_t reason = 0;  ///< CRLReason (RFC 5280 section 5.3.1); 0 is not written
};

struct CrlProfile {
  std::uint64_t number = 1;  ///< grows with each list
  WallTime this_update{};
  WallTime next_update{};
  std::vector<RevokedCertificate> entries;  ///< in any order, each serial once
};

/// The list in DER, signed by the issuer. O(n log n): about 0.15 s and 40 MB for 100,000 entries,
/// so not on a core. Fails when a serial is no number or the key cannot sign.
Result<std::string, Failure> make_crl(const CrlProfile& profile, const Certificate& issuer,
                                      const PrivateKey& issuer_key);

struct CrlFields {
  std::uint64_t number = 0;
  WallTime this_update{};
  WallTime next_update{};
  std::vector<RevokedCertificate> entries;
};

/// Reads a list in DER, at most crl_bytes_max. Fails as well when `issuer` has not signed it.
Result<CrlFields, Failure> read_crl(std::string_view der, const Certificate& issuer);

/// Most lists in one file, and most entries over all of them.
inline constexpr std::size_t crl_lists_max = 16;
inline constexpr std::size_t crl_entries_max = 1'000'000;

struct RevokedSerials {
  std::vector<std::string> serials;        ///< as CertificateFields has them; sorted, each once
  WallTime next_update = WallTime::max();  ///< the earliest that a list promises
};

/// Reads what an authority has published: one list in DER, or one or several in PEM, at most
/// crl_bytes_max. Fails as a whole when one of them is not by `issuer` (name, right to sign lists,
/// signature) or is not a whole list of its own certificates (delta and indirect lists and others
/// with critical extensions, RFC 5280 section 5.2). An old list is read like another. About 1 µs an
/// entry.
Result<RevokedSerials, Failure> read_revoked_serials(std::string_view text,
                                                     const Certificate& issuer);

}  // namespace skerry::crypto
