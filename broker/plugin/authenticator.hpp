// Authenticator: turns what a peer presents into an Identity or a reason why not. Certificates come
// as DER, so this interface knows no TLS library.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "base/result.hpp"
#include "mqtt/packet.hpp"
#include "mqtt/reason.hpp"
#include "plugin/identity.hpp"

namespace skerry::plugin {

/// What a connection has shown. Owned by the caller until `done` was called.
struct Credentials {
  std::vector<std::string> certificate_chain;  ///< DER, leaf first; empty without a certificate
  std::string client_id;
  std::optional<std::string> user_name;
  std::optional<std::string> password;
  std::string listener;                    ///< name of the listener
  std::string domain;                      ///< its domain: owner of anonymous sessions
  PolicyKind policy = PolicyKind::device;  ///< the listener's policy, for identities without an own
  std::string policy_name;                 ///< with PolicyKind::named
  std::string peer_address;                ///< "192.0.2.7:4711", for logs
};

class Authenticator {
 public:
  using Done = std::function<void(Result<Identity, mqtt::Violation>)>;

  virtual ~Authenticator() = default;

  /// Decides who this is and calls `done` exactly once, from any thread, at once or later but
  /// before `deadline`. Called on a core: must not block. An exception means "not authorized".
  virtual void authenticate(const Credentials& credentials, SteadyTime deadline, Done done) = 0;
};

}  // namespace skerry::plugin
