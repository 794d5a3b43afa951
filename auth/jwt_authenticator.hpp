// JwtAuthenticator: services by a token that somebody else has signed, shown as the MQTT password
// (the user name is free). The session ends when the token does.
#pragma once

#include <functional>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "auth/jwt.hpp"
#include "plugin/authenticator.hpp"
#include "plugin/standing.hpp"

namespace skerry::auth {

/// Thread-safe; one object serves all cores and listeners. Answers at once: a signature is verified
/// on the core, as that of a certificate is, in some 0.1 ms.
class JwtAuthenticator final : public plugin::Authenticator {
 public:
  explicit JwtAuthenticator(std::function<WallTime()> clock) : clock_(std::move(clock)) {}

  /// Takes over other issuers and keys; then sessions have to be judged again. Any thread.
  void replace(std::vector<JwtIssuer> issuers);

  void authenticate(const plugin::Credentials& credentials, SteadyTime deadline,
                    Done done) override;

  /// What has become of an identity that was let in by token: valid as long as its issuer is known
  /// and may still give it its policy. A key that was taken away does not end what it has signed;
  /// tokens are short-lived.
  plugin::Standing standing(const plugin::Identity& identity, WallTime now) const;

 private:
  std::shared_ptr<const std::vector<JwtIssuer>> current() const;

  std::function<WallTime()> clock_;
  mutable std::shared_mutex mutex_;
  std::shared_ptr<const std::vector<JwtIssuer>> issuers_ =
      std::make_shared<const std::vector<JwtIssuer>>();
};

}  // namespace skerry::auth
