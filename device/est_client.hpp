// EST (RFC 7030) from the device's side: one exchange at a time over TLS whose server is verified,
// in bounded time and memory. Throws std::runtime_error with one sentence.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.hpp"
#include "crypto/key.hpp"

namespace skerry::agent {

/// Where, and whom to trust there.
struct EstServer {
  std::string host;
  std::uint16_t port = 8444;
  std::string roots_pem;
};

/// What is shown in the handshake; the certificate may be one that the key has signed for itself.
struct EstIdentity {
  crypto::PrivateKey key;
  crypto::Certificate certificate;
};

struct EstRequest {
  bool renewal = false;  ///< simplereenroll, with the certificate in use as identity
  EstIdentity identity;
  crypto::PrivateKey key;  ///< that the certificate is asked for
  std::string device;
  std::string token;  ///< empty: none
};

/// What the server said, 200 or not.
struct EstAnswer {
  int status = 0;
  std::string code;    ///< of a refusal: "too_early"
  std::string detail;  ///< of a refusal, for people
  std::optional<std::chrono::seconds> retry_after;
  std::optional<crypto::Certificate> certificate;  ///< with status 200
};

/// Asks for a certificate.
boost::asio::awaitable<EstAnswer> est_enrol(EstServer server, EstRequest request);

/// The root certificate with this SHA-256 (64 hexadecimal digits), in PEM. The server cannot be
/// verified yet, so nothing is sent but the question, and nothing is taken but the certificate that
/// has exactly this fingerprint.
boost::asio::awaitable<std::string> est_fetch_root(EstServer server, std::string fingerprint);

/// A certificate by which a key shows itself, for an hour.
crypto::Certificate self_signed(const crypto::PrivateKey& key, const std::string& device);

}  // namespace skerry::agent
