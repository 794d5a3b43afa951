// CertificateAuthenticator: who a client is by the certificate it has proven to hold the key of.
// The TLS layer has verified the chain in full handshakes; everything that a resumed handshake
// skips is checked here again, each time: validity, issuer, usage, revocation, registration.
#pragma once

#include <functional>

#include "auth/registry.hpp"
#include "auth/revocation_lists.hpp"
#include "auth/service_registry.hpp"
#include "crypto/certificate.hpp"
#include "plugin/authenticator.hpp"
#include "plugin/standing.hpp"

namespace skerry::auth {

/// Thread-safe; one object serves all cores. Answers at once: a lookup in memory under a shared
/// lock and one verification of a signature, about 0.1 ms.
class CertificateAuthenticator : public plugin::Authenticator {
 public:
  using Clock = std::function<WallTime()>;

  /// `registry` and `services` must outlive it; without `services` only devices are let in. `clock`
  /// is called on any thread. What is on `lists` (null: there are none) counts as revoked.
  CertificateAuthenticator(const DeviceRegistry& registry, crypto::Certificate device_ca,
                           Clock clock, const ServiceRegistry* services = nullptr,
                           const RevocationLists* lists = nullptr);

  void authenticate(const plugin::Credentials& credentials, SteadyTime deadline,
                    Done done) override;

  /// What has become at `now` of an identity found earlier, for whoever has to look again after
  /// something has changed: live sessions, those that wait for their device, one that was being set
  /// up meanwhile. Identities without a
  /// certificate stay valid. No cryptography.
  plugin::Standing standing(const plugin::Identity& identity, WallTime now) const;

 private:
  Result<plugin::Identity, mqtt::Violation> identify(const plugin::Credentials& credentials) const;
  plugin::Standing standing_of_certificate(const Device& device, const plugin::Identity& identity,
                                           WallTime now) const;
  plugin::Standing standing_of_service(const plugin::Identity& identity, WallTime now) const;
  Result<plugin::Identity, mqtt::Violation> identify_service(plugin::Identity identity) const;
  bool is_revoked(const plugin::Identity& identity) const;
  bool is_listed(const plugin::Identity& identity) const;

  const DeviceRegistry& registry_;
  crypto::Certificate device_ca_;
  Clock clock_;
  const ServiceRegistry* services_;
  const RevocationLists* lists_;
  std::string issuer_;  ///< as `lists_` names it
};

}  // namespace skerry::auth
