// PasswordAuthenticator: services by name and password. Hashing takes some 20 ms and 19 MiB, so it
// happens on a pool with a short queue, is charged to the address before it is done, and a password
// that was right is known for a while by a keyed hash: a storm of reconnects costs no hashing.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "auth/attempt_limiter.hpp"
#include "auth/service_credentials.hpp"
#include "plugin/authenticator.hpp"
#include "plugin/standing.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::auth {

/// What a registered service may do.
struct ServiceRights {
  std::string policy;
  WallTime created{};  ///< the service's, to tell it from an earlier one of its name
};

/// Thread-safe; one object serves all cores and listeners. `pool` must have ended before it.
class PasswordAuthenticator final : public plugin::Authenticator {
 public:
  /// nullopt when there is no such service. Any thread, never blocks.
  using Lookup = std::function<std::optional<ServiceRights>(std::string_view service)>;

  struct Options {
    const ServiceCredentials& credentials;
    storage::ReaderPool& pool;
    Lookup services;
    std::function<Now()> clock;
    AttemptLimits limits = {};
  };
  explicit PasswordAuthenticator(Options options);

  void authenticate(const plugin::Credentials& credentials, SteadyTime deadline,
                    Done done) override;

  /// What has become of an identity that was let in by password.
  plugin::Standing standing(const plugin::Identity& identity, WallTime now) const;

 private:
  struct Known {
    std::string mac;
    std::string password_id;
    SteadyTime until;
  };
  struct Attempt {
    std::string service;
    std::string password;
    std::string address;
    std::optional<ServicePassword> secret;  ///< nullopt: there is nothing to be right about
    SteadyTime deadline;
    Done done;
  };

  void check(Attempt& attempt);
  void give_back(const Attempt& attempt);
  Result<plugin::Identity, mqtt::Violation> identity_of(const std::string& service,
                                                        const std::string& password_id) const;
  std::optional<ServicePassword> usable(std::string_view service, WallTime now) const;
  std::string mac_of(std::string_view service, std::string_view password) const;
  bool is_known(const Attempt& attempt, SteadyTime now);

  Options options_;
  std::string mac_key_;
  std::string decoy_hash_;  ///< hashed against for unknown services, so that time tells nothing
  std::atomic<std::size_t> pending_{0};
  std::mutex mutex_;
  AttemptLimiter limiter_;                           ///< guarded by mutex_
  std::map<std::string, Known, std::less<>> known_;  ///< guarded by mutex_; one for each service
};

}  // namespace skerry::auth
