#include "auth/password_authenticator.hpp"

#include <memory>
#include <stdexcept>

#include "auth/policy_source.hpp"
#include "base/limits.hpp"
#include "crypto/hash.hpp"
#include "crypto/password.hpp"
#include "crypto/random.hpp"

namespace skerry::auth {
namespace {

using mqtt::Reason;
using mqtt::Violation;

constexpr Violation wrong{Reason::bad_user_name_or_password,
                          "the user name or the password is wrong"};

/// The host of "192.0.2.7:4711" or "[2001:db8::1]:4711".
std::string host_of(std::string_view address) {
  std::string_view host = address.substr(0, address.rfind(':'));
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return std::string{host};
}

}  // namespace

PasswordAuthenticator::PasswordAuthenticator(Options options)
    : options_(std::move(options)), mac_key_(crypto::random_bytes(32)), limiter_(options_.limits) {
  auto decoy = crypto::hash_password(crypto::random_token());
  if (!decoy) {
    throw std::runtime_error(decoy.error().what);
  }
  decoy_hash_ = *std::move(decoy);
}

/// A password that counts: not expired, and of the service as it is registered now.
std::optional<ServicePassword> PasswordAuthenticator::usable(std::string_view service,
                                                             WallTime now) const {
  const auto rights = options_.services(service);
  auto secret = options_.credentials.find(service);
  if (!rights || !secret || secret->expires <= now || secret->service_created != rights->created) {
    return std::nullopt;
  }
  return secret;
}

// SHA-256 with the key in front: the inputs are fixed in length or separated, and what comes out is
// never shown, so nothing can be appended to it.
std::string PasswordAuthenticator::mac_of(std::string_view service,
                                          std::string_view password) const {
  std::string bytes = mac_key_;
  bytes.append(service).append(1, '\0').append(password);
  return crypto::sha256(bytes);
}

bool PasswordAuthenticator::is_known(const Attempt& attempt, SteadyTime now) {
  if (!attempt.secret) {
    return false;
  }
  const std::string mac = mac_of(attempt.service, attempt.password);
  const std::lock_guard lock{mutex_};
  const auto found = known_.find(attempt.service);
  return found != known_.end() && found->second.until > now &&
         found->second.password_id == attempt.secret->id &&
         crypto::equal_constant_time(found->second.mac, mac);
}

void PasswordAuthenticator::authenticate(const plugin::Credentials& credentials,
                                         SteadyTime deadline, Done done) {
  const Now now = options_.clock();
  Attempt attempt;
  attempt.service = credentials.user_name.value_or("");
  attempt.password = credentials.password.value_or("");
  attempt.address = host_of(credentials.peer_address);
  attempt.deadline = deadline;
  if (!is_valid_device_id(attempt.service) || attempt.password.empty() ||
      attempt.password.size() > crypto::password_bytes_max) {
    done(wrong);
    return;
  }
  attempt.secret = usable(attempt.service, now.wall);
  if (is_known(attempt, now.steady)) {
    done(identity_of(attempt.service, attempt.secret->id));
    return;
  }
  {
    const std::lock_guard lock{mutex_};
    if (limiter_.begin(attempt.address, now.steady)) {
      done(Violation{Reason::connection_rate_exceeded,
                     "too many wrong passwords from this address; try again later"});
      return;
    }
  }
  attempt.done = std::move(done);
  const auto shared = std::make_shared<Attempt>(std::move(attempt));
  const bool has_room = pending_.fetch_add(1) < password_checks_max;
  if (!has_room || !options_.pool.run([this, shared] { check(*shared); })) {
    pending_.fetch_sub(1);
    give_back(*shared);
    shared->done(Violation{Reason::server_busy, "too many passwords are being checked"});
  }
}

// On the pool.
void PasswordAuthenticator::check(Attempt& attempt) {
  if (options_.clock().steady > attempt.deadline) {
    pending_.fetch_sub(1);
    give_back(attempt);
    attempt.done(Violation{Reason::server_busy, "too many passwords are being checked"});
    return;
  }
  const bool fits = crypto::verify_password(attempt.password,
                                            attempt.secret ? attempt.secret->hash : decoy_hash_);
  pending_.fetch_sub(1);
  if (!fits || !attempt.secret) {
    attempt.done(wrong);
    return;
  }
  const SteadyTime until = options_.clock().steady + password_cache_life;
  give_back(attempt);
  {
    const std::lock_guard lock{mutex_};
    known_.insert_or_assign(attempt.service, Known{mac_of(attempt.service, attempt.password),
                                                   attempt.secret->id, until});
  }
  attempt.done(identity_of(attempt.service, attempt.secret->id));
}

/// Nothing was guessed, so it does not count as an attempt of the address.
void PasswordAuthenticator::give_back(const Attempt& attempt) {
  const std::lock_guard lock{mutex_};
  limiter_.succeeded(attempt.address);
}

/// The identity, if the password is still the service's: it may have changed while it was hashed.
Result<plugin::Identity, Violation> PasswordAuthenticator::identity_of(
    const std::string& service, const std::string& password_id) const {
  const auto secret = usable(service, options_.clock().wall);
  const auto rights = options_.services(service);
  if (!secret || !rights || secret->id != password_id) {
    return wrong;
  }
  plugin::Identity identity;
  identity.kind = plugin::IdentityKind::service;
  identity.name = service;
  set_policy(identity, rights->policy);
  identity.not_after = secret->expires;
  identity.proof = plugin::Proof::password;
  identity.proof_id = password_id;
  return identity;
}

plugin::Standing PasswordAuthenticator::standing(const plugin::Identity& identity,
                                                 WallTime now) const {
  using State = plugin::Standing::State;
  const auto rights = options_.services(identity.name);
  if (!rights) {
    return {State::erased};
  }
  const auto secret = options_.credentials.find(identity.name);
  if (!secret || secret->id != identity.proof_id || secret->service_created != rights->created ||
      policy_text(identity.policy, identity.policy_name) != rights->policy) {
    return {State::denied};
  }
  return {now < secret->expires ? State::valid : State::expired, secret->expires};
}

}  // namespace skerry::auth
