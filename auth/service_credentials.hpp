// ServiceCredentials: passwords of back-end services that connect without a certificate, as
// argon2id hashes. Who a service is and what it may do is ServiceRegistry's business; here is only
// what it can show.
//
// Family::admin, key "service-password/<service>": version (1 byte, 1) and JSON: id, hash, created,
// expires (0: never), serviceCreated (a service that was made anew does not inherit a password).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "auth/registry.hpp"
#include "base/now.hpp"
#include "plugin/audit.hpp"
#include "storage/kv_store.hpp"

namespace skerry::auth {

struct ServicePassword {
  std::string id;    ///< another one with each password
  std::string hash;  ///< encoded argon2id
  WallTime created{};
  WallTime expires = WallTime::max();
  WallTime service_created{};  ///< of the service it was given to
};

/// Thread-safe once loaded.
class ServiceCredentials {
 public:
  explicit ServiceCredentials(plugin::AuditLog& audit) : audit_(audit) {}
  ServiceCredentials(const ServiceCredentials&) = delete;
  ServiceCredentials& operator=(const ServiceCredentials&) = delete;

  /// Reads everything there is. Once, before any other call, on a thread that may block. A record
  /// that cannot be read is skipped: that password is refused.
  storage::Status load(const storage::KvStore& store);

  /// Called after a password has changed or gone, with the service's name; live sessions by it have
  /// to be judged again. On the thread of the change or of the committer. Before the first change.
  void on_change(std::function<void(const std::string& service)> hook) { hook_ = std::move(hook); }

  struct Change {
    Actor actor;
    std::string detail;  ///< for the audit
  };
  using Done = std::function<void(const storage::Status&)>;

  /// Gives `service` this password in place of any other; it holds when it is durable. The id is
  /// drawn here. `full` when there are service_passwords_max already.
  void put(std::string service, ServicePassword password, Change change, Done done);
  /// Takes it away: refused from now on, even when storing that fails, and then may be erased
  /// again. `not_found` without one, and while another call takes it away.
  void erase(std::string service, Change change, Done done);

  /// What the service has now; any thread, never blocks. Expired ones are found as well.
  std::optional<ServicePassword> find(std::string_view service) const;

 private:
  struct Entry {
    ServicePassword password;
    /// Erased, but not known to be out of the store: seen by erase() and the limit alone.
    bool removing = false;
    bool erase_under_way = false;
  };

  void finish_erase(const std::string& service, bool stored);
  void tell(const std::string& service) const {
    if (hook_) {
      hook_(service);
    }
  }

  plugin::AuditLog& audit_;
  std::function<void(const std::string&)> hook_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry, std::less<>> passwords_;
};

}  // namespace skerry::auth
