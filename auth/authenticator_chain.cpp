#include "auth/authenticator_chain.hpp"

#include <algorithm>
#include <utility>

#include "auth/jwt.hpp"

namespace skerry::auth {

namespace {

bool applies(AuthenticatorChain::Method method, const plugin::Credentials& credentials) {
  switch (method) {
    case AuthenticatorChain::Method::certificate:
      return !credentials.certificate_chain.empty();
    case AuthenticatorChain::Method::password:
      return credentials.user_name.has_value();
    case AuthenticatorChain::Method::token:
      return credentials.password && looks_like_jwt(*credentials.password);
    case AuthenticatorChain::Method::anonymous:
      return true;
  }
  return false;
}

}  // namespace

void AnonymousAuthenticator::authenticate(const plugin::Credentials& credentials, SteadyTime,
                                          Done done) {
  plugin::Identity identity;
  identity.kind = plugin::IdentityKind::anonymous;
  identity.policy = credentials.policy;
  identity.policy_name = credentials.policy_name;
  identity.name = credentials.domain;
  done(std::move(identity));
}

AuthenticatorChain::AuthenticatorChain(std::vector<Step> steps) : steps_(std::move(steps)) {}

void AuthenticatorChain::authenticate(const plugin::Credentials& credentials, SteadyTime deadline,
                                      Done done) {
  // A token comes as a password, so it goes to whoever reads tokens, wherever that stands.
  const bool by_token = std::any_of(steps_.begin(), steps_.end(), [&](const Step& step) {
    return step.method == Method::token && applies(step.method, credentials);
  });
  for (const Step& step : steps_) {
    if (applies(step.method, credentials) && !(by_token && step.method == Method::password)) {
      step.authenticator->authenticate(credentials, deadline, std::move(done));
      return;
    }
  }
  const bool wants_password = !steps_.empty() && (steps_.front().method == Method::password ||
                                                  steps_.front().method == Method::token);
  done(wants_password ? mqtt::Violation{mqtt::Reason::bad_user_name_or_password,
                                        "this listener needs a user name and a password"}
                      : mqtt::Violation{mqtt::Reason::not_authorized,
                                        "this listener needs a client certificate"});
}

}  // namespace skerry::auth
