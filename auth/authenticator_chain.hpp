// AuthenticatorChain: a listener's `authentication:` list. The first method for which the client
// has shown something decides alone: whoever shows a revoked certificate is refused, not made
// anonymous.
#pragma once

#include <memory>
#include <vector>

#include "plugin/authenticator.hpp"

namespace skerry::auth {

/// Lets everybody in under the listener's policy: identity {anonymous, policy, name = domain}.
class AnonymousAuthenticator : public plugin::Authenticator {
 public:
  void authenticate(const plugin::Credentials& credentials, SteadyTime deadline,
                    Done done) override;
};

class AuthenticatorChain : public plugin::Authenticator {
 public:
  /// What must have been shown for a method to be asked.
  enum class Method : std::uint8_t {
    certificate,  ///< a client certificate
    password,     ///< a user name
    token,        ///< a password that has the form of a JSON Web Token
    anonymous,    ///< nothing
  };
  struct Step {
    Method method = Method::anonymous;
    std::shared_ptr<plugin::Authenticator> authenticator;
  };

  /// An empty list lets nobody in.
  explicit AuthenticatorChain(std::vector<Step> steps);

  void authenticate(const plugin::Credentials& credentials, SteadyTime deadline,
                    Done done) override;

 private:
  std::vector<Step> steps_;
};

}  // namespace skerry::auth
