// Renewal: may the holder of this certificate have another one, now? The same answer for EST
// (simplereenroll) and for MQTT (certificate/renew).
//
//   notBefore ── issued ─────────────── renew_after ─────────── notAfter ─────── + renew_grace
//                  │     too_early          │      welcome, also expired            │ expired
//
// A renewal may be repeated, since its answer may be lost, but not at will: of what has taken a
// certificate's place, at most renewals_repeated_max are in the first twentieth of their life.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "auth/authority.hpp"
#include "auth/issuer.hpp"
#include "auth/refusal.hpp"
#include "auth/registry.hpp"
#include "crypto/request.hpp"

namespace skerry::auth {

inline constexpr std::size_t renewals_repeated_max = 3;

struct RenewalRules {
  unsigned after_percent = 66;  ///< of a certificate's life; 0: at any time, as often as is asked
  std::chrono::seconds grace = std::chrono::days{90};  ///< behind its end
};

/// The certificate that somebody has proven to hold the key of.
struct CurrentCertificate {
  std::string device;
  std::string serial;
  std::string fingerprint;  ///< of its key
};

/// Reads what a TLS client has shown: issued by our device CA, for clients, naming one device.
/// Costs one verification.
Result<CurrentCertificate, Refusal> read_current_certificate(std::string_view der,
                                                             const crypto::Certificate& device_ca);

/// Why this certificate is not renewed now, or nothing. No cryptography.
std::optional<Refusal> refuse_renewal(const CurrentCertificate& current, const RenewalRules& rules,
                                      const DeviceRegistry& registry, WallTime now);

/// What is wrong with the request of a renewal, or the order that fulfils it. Its key may be the
/// current one or a new one; names, if it has any, must be those of the device. Costs one
/// verification, behind everything that costs nothing.
Result<IssueOrder, Refusal> judge_renewal_request(const crypto::CertificateRequest& request,
                                                  const CurrentCertificate& current,
                                                  const DeviceRegistry& registry);

/// A request as it travels: base64 of DER (RFC 7030 section 4.2.1); PEM, which is what openssl
/// writes, is the same with a line before and behind. Its key has been judged, its signature not.
Result<crypto::CertificateRequest, Refusal> read_request(std::string_view body);

/// The refusal of a request that its key has not signed.
Refusal bad_signature();

}  // namespace skerry::auth
