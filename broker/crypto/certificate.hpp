// X.509 certificates: reading their fields out of DER, checking an issuer's signature, and issuing
// v3 certificates by a profile of ours in which nothing of a request but its key is used.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "crypto/failure.hpp"
#include "crypto/key.hpp"

struct x509_st;

namespace skerry::crypto {

/// Longest certificate in DER or PEM that is looked at.
inline constexpr std::size_t certificate_bytes_max = 64 * 1024;

/// The fields of a certificate that somebody here asks for.
struct CertificateFields {
  std::string serial;       ///< lower-case hex, two digits a byte, "00" for zero
  std::string common_name;  ///< of the subject; empty when absent or repeated
  std::string organization;
  std::string spki_der;     ///< SubjectPublicKeyInfo
  std::string fingerprint;  ///< SHA-256 of it, lower-case hex
  WallTime not_before{};
  WallTime not_after{};
  std::vector<std::string> uris;       ///< SAN, in order
  std::vector<std::string> dns_names;  ///< SAN
  std::vector<std::string> addresses;  ///< SAN, IP addresses in text form
  std::uint32_t version = 3;
  bool is_authority = false;                 ///< basic constraints CA:TRUE
  std::optional<std::uint32_t> path_length;  ///< of an authority
  bool has_key_usage = false;
  bool digital_signature = false;
  bool certificate_sign = false;
  bool has_extended_key_usage = false;
  bool client_authentication = false;
  bool server_authentication = false;
  bool other_extended_usage = false;  ///< any usage besides those two
  std::string subject_key_id;         ///< hex, empty when absent
  std::string authority_key_id;
};

/// One certificate, immutable; copies share it. Any thread.
class Certificate {
 public:
  /// Empty: only assignment and `operator bool` are allowed.
  Certificate() = default;
  explicit Certificate(std::shared_ptr<x509_st> handle) : handle_(std::move(handle)) {}

  /// One certificate and nothing behind it, at most certificate_bytes_max.
  static Result<Certificate, Failure> from_der(std::string_view der);
  /// The first certificate of a PEM text.
  static Result<Certificate, Failure> from_pem(std::string_view pem);

  explicit operator bool() const noexcept { return handle_ != nullptr; }

  /// Takes the fields apart. Fails when extensions are malformed or doubled, or a SAN URI holds a
  /// NUL.
  Result<CertificateFields, Failure> fields() const;

  std::string der() const;
  std::string pem() const;

  /// Did the key of `issuer` sign this, and does the issuer's name match? Validity is not looked
  /// at.
  bool is_signed_by(const Certificate& issuer) const;

  x509_st* native() const noexcept { return handle_.get(); }

 private:
  std::shared_ptr<x509_st> handle_;
};

/// What to write into a certificate. Each has a 128-bit random serial, SKI and AKI; BC and KU are
/// critical.
struct CertificateProfile {
  std::string common_name;  ///< at most 64 bytes
  std::string organization = "Skerry";
  std::string spki_der;
  WallTime not_before{};
  WallTime not_after{};
  bool is_authority = false;                 ///< KU keyCertSign and cRLSign; else digitalSignature
  std::optional<std::uint32_t> path_length;  ///< of an authority
  bool client_authentication = false;        ///< EKU
  bool server_authentication = false;        ///< EKU
  std::vector<std::string> uris;             ///< SAN
  std::vector<std::string> dns_names;
  std::vector<std::string> addresses;
  std::string crl_url;  ///< where the issuer's revocation list is found; empty: nowhere
};

/// Signs with `issuer_key`; `issuer` may be empty for a certificate that signs itself. notAfter is
/// cut to the issuer's. About 0.1 ms for a P-256 key.
Result<Certificate, Failure> issue_certificate(const CertificateProfile& profile,
                                               const Certificate& issuer,
                                               const PrivateKey& issuer_key);

}  // namespace skerry::crypto
