// EST (RFC 7030): how a device turns its registered key into a certificate. Two endpoints for the
// enrolment port, whose TLS asks for a client certificate and accepts self-signed ones.
//
//   GET  /.well-known/est/cacerts       root, device CA, server CA
//   POST /.well-known/est/simpleenroll  PKCS#10 in, certificate out
//
// What counts of a request is its key and the proof that the sender holds it; subject, names and
// extensions are ours. It deliberately knows no passwords and no tokens.
#pragma once

#include <functional>
#include <string_view>

#include "auth/authority.hpp"
#include "auth/registry.hpp"
#include "http/endpoint.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::auth {

struct EstOptions {
  CertificateAuthority& authority;
  DeviceRegistry& registry;
  storage::ReaderPool& signer;  ///< a pool of one thread, for nothing but signing
  std::function<Now()> clock = [] { return read_clocks(); };
  double signatures_per_second = 100;  ///< more are answered 429
  double signatures_burst = 200;
  /// One line for each certificate issued and each request refused. Called on the admin loop.
  std::function<void(std::string_view)> log = [](std::string_view) {};
};

/// What `options` refers to must outlive the server that gets the table. Handlers run on the admin
/// loop and sign on `signer`.
http::EndpointTable est_endpoints(EstOptions options);

}  // namespace skerry::auth
