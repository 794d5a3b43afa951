#include "auth/jwt_authenticator.hpp"

#include <algorithm>
#include <mutex>

#include "auth/policy_source.hpp"

namespace skerry::auth {
namespace {

/// An issuer and one of its keys: who takes a key away takes what it has signed as well.
std::string proof_of(const JwtIssuer& issuer, std::string_view key) {
  return std::string{issuer.name}.append(1, ' ').append(key);
}

bool has_proof(const JwtIssuer& issuer, std::string_view proof) {
  const std::size_t space = proof.rfind(' ');
  return space != proof.npos && proof.substr(0, space) == issuer.name &&
         std::any_of(issuer.keys.begin(), issuer.keys.end(), [&](const JwtKey& key) {
           return key.key.fingerprint() == proof.substr(space + 1);
         });
}

}  // namespace

void JwtAuthenticator::replace(std::vector<JwtIssuer> issuers) {
  auto fresh = std::make_shared<const std::vector<JwtIssuer>>(std::move(issuers));
  const std::unique_lock lock{mutex_};
  issuers_ = std::move(fresh);
}

std::shared_ptr<const std::vector<JwtIssuer>> JwtAuthenticator::current() const {
  const std::shared_lock lock{mutex_};
  return issuers_;
}

void JwtAuthenticator::authenticate(const plugin::Credentials& credentials, SteadyTime, Done done) {
  const auto issuers = current();
  const auto subject = judge_jwt(credentials.password.value_or(""), *issuers, clock_());
  if (!subject) {
    done(mqtt::Violation{mqtt::Reason::not_authorized, subject.error().what});
    return;
  }
  plugin::Identity identity;
  identity.kind = plugin::IdentityKind::service;
  identity.name = subject->service;
  set_policy(identity, subject->policy);
  identity.not_after = subject->expires;
  identity.proof = plugin::Proof::token;
  identity.proof_id = proof_of(*subject->issuer, subject->key);
  done(std::move(identity));
}

plugin::Standing JwtAuthenticator::standing(const plugin::Identity& identity, WallTime now) const {
  using State = plugin::Standing::State;
  const auto issuers = current();
  const auto issuer = std::find_if(issuers->begin(), issuers->end(), [&](const JwtIssuer& known) {
    return has_proof(known, identity.proof_id);
  });
  if (issuer == issuers->end()) {
    return {State::denied};
  }
  const std::string policy = policy_text(identity.policy, identity.policy_name);
  const bool may_have = issuer->policy_claim.empty()
                            ? issuer->policy == policy
                            : std::find(issuer->policies.begin(), issuer->policies.end(), policy) !=
                                  issuer->policies.end();
  if (!may_have) {
    return {State::denied};
  }
  return {now < identity.not_after ? State::valid : State::expired, identity.not_after};
}

}  // namespace skerry::auth
