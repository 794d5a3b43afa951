// Identity: who a connection is, once an authenticator has said so. The owner decides which session
// a client id means, so nobody can take over another's.
#pragma once

#include <cstdint>
#include <string>

#include "base/now.hpp"

namespace skerry::plugin {

enum class IdentityKind : std::uint8_t { anonymous, device, service, user };

/// The set of rules an identity is judged by.
enum class PolicyKind : std::uint8_t {
  device,         ///< the topic table: its own topics only
  open,           ///< every topic but those that only the broker publishes; tests, trusted locals
  service_read,   ///< reads all of devices/#
  service_write,  ///< the same, and publishes commands and desired state
  named,          ///< a policy of the configuration, by its name
};

/// By what an identity was proven; where to look when it may have ended.
enum class Proof : std::uint8_t { none, certificate, password, token };

struct Identity {
  IdentityKind kind = IdentityKind::anonymous;
  PolicyKind policy = PolicyKind::device;
  std::string name;                      ///< device id, service or user name; domain for anonymous
  std::string certificate_serial;        ///< lower-case hex, empty without a certificate
  std::string key_fingerprint;           ///< SHA-256 of the SPKI, lower-case hex, empty without one
  WallTime not_after = WallTime::max();  ///< when the credentials end
  std::string policy_name;               ///< with PolicyKind::named
  Proof proof = Proof::none;
  std::string proof_id;  ///< which password it was, or whose key has signed the token; opaque

  /// `device:<id>`, `service:<name>`, `user:<name>` or `domain:<name>`: the owner half of a session
  /// key, also what sessions are found by when rights end.
  std::string owner() const;
};

}  // namespace skerry::plugin
