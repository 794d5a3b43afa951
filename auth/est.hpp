// EST (RFC 7030, RFC 8951): how a device turns its registered key into a certificate, and a
// certificate into the next. Endpoints for the enrolment port, whose TLS asks for a client
// certificate and accepts any, self-signed and expired ones too: what counts is the proven key.
//
//   GET  /.well-known/est/cacerts         root, device CA, server CA
//   GET  /.well-known/est/csrattrs        kinds of keys and signatures that are taken
//   POST /.well-known/est/simpleenroll    PKCS#10 in, certificate out; a key that is registered, a
//                                         token, or a human's approval lets a device in
//   POST /.well-known/est/simplereenroll  the same for who shows the certificate to be renewed
//
// What counts of a request is its key and the proof that the sender holds it; subject, names and
// extensions are ours. Cheap checks come first; each attempt costs its address something until it
// was right; a signature of ours is made only for who has passed all of them.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "auth/attempt_limiter.hpp"
#include "auth/authority.hpp"
#include "auth/enrolment_mode.hpp"
#include "auth/enrolment_tokens.hpp"
#include "auth/issuer.hpp"
#include "auth/registry.hpp"
#include "auth/renewal.hpp"
#include "http/endpoint.hpp"
#include "plugin/audit.hpp"

namespace skerry::auth {

struct EstOptions {
  CertificateAuthority& authority;
  DeviceRegistry& registry;
  EnrolmentTokens& tokens;
  plugin::AuditLog& audit;
  std::shared_ptr<CertificateIssuer> issuer;
  EnrolmentMode mode = EnrolmentMode::strict;
  RenewalRules renewal = {};
  /// Refused attempts; what was right costs nothing in the end, but counts while it is under way,
  /// so a fleet behind one address may have that many open at once.
  AttemptLimits attempts = {.per_address_burst = 256,
                            .per_address_each_second = 2,
                            .total_burst = 1'000,
                            .total_each_second = 200};
  std::function<Now()> clock = [] { return read_clocks(); };
  /// One line for each request refused. Called on the admin loop.
  std::function<void(std::string_view)> log = [](std::string_view) {};
};

/// What `options` refers to must outlive the server that gets the table. Handlers run on the admin
/// loop.
http::EndpointTable est_endpoints(EstOptions options);

}  // namespace skerry::auth
