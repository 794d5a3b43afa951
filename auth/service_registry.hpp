// ServiceRegistry: back-end services that connect by certificate: their names, the policy that
// judges them, the certificates they were given and those that were revoked. In memory for the
// asking (cores ask at each CONNECT), in Family::admin for good.
//
// Records: "service/<name>" and "service-revoked/<serial>", a version byte and JSON.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "auth/registry.hpp"
#include "base/now.hpp"
#include "base/result.hpp"
#include "plugin/audit.hpp"
#include "storage/kv_store.hpp"

namespace skerry::auth {

struct ServiceCertificate {
  std::string serial;       ///< lower-case hex
  std::string fingerprint;  ///< SHA-256 of its key
  WallTime issued{};
  WallTime not_after{};
};

struct Service {
  std::string name;    ///< by the same rule as device ids
  std::string policy;  ///< "service-read", "service-write" or the name of a policy
  WallTime created{};
  WallTime changed{};
  std::uint64_t revision = 1;
  std::vector<ServiceCertificate> certificates;  ///< good ones, oldest first

  /// nullptr when there is no good certificate of this serial.
  const ServiceCertificate* certificate(std::string_view serial) const noexcept;
};

/// A service as it was committed; never changes, any thread may keep it.
using ServicePointer = std::shared_ptr<const Service>;

enum class ServiceError : std::uint8_t {
  invalid_name,           ///< 422
  exists,                 ///< 409
  not_found,              ///< 404
  certificate_not_found,  ///< 404
  limit,                  ///< 507, or 409 for certificates: a cap of base/limits.hpp is reached
  storage,                ///< 503: not stored
};

struct ServiceFailure {
  ServiceError code = ServiceError::storage;
  std::string what;  ///< a sentence for a human
};

[[noreturn]] void throw_exception_from_error(const ServiceFailure& failure,
                                             const boost::source_location& where);

using ServiceOutcome = Result<ServicePointer, ServiceFailure>;

/// Reading is thread-safe; changes belong to the admin loop.
class ServiceRegistry {
 public:
  /// Called when something has ended: a certificate, or with an empty serial the service. On the
  /// admin loop.
  using EndHook = std::function<void(const std::string& name, const std::string& serial)>;

  explicit ServiceRegistry(plugin::AuditLog& audit) : audit_(audit) {}
  ServiceRegistry(const ServiceRegistry&) = delete;
  ServiceRegistry& operator=(const ServiceRegistry&) = delete;

  /// Reads everything there is. Once, before any other call, on a thread that may block. Records
  /// that cannot be read are skipped: those services are refused, those serials stay revoked.
  storage::Status load(const storage::KvStore& store);

  /// Before the first change.
  void on_end(EndHook hook) { hooks_.push_back(std::move(hook)); }

  struct Change {
    WallTime now{};
    Actor actor;
  };

  // Each resumes when the change is durable or has failed.

  boost::asio::awaitable<ServiceOutcome> create(std::string name, std::string policy,
                                                Change change);
  /// Removes the service; its certificates are revoked. It is refused from now on, even when
  /// storing fails; then erase may be called again.
  boost::asio::awaitable<ServiceOutcome> erase(std::string name, Change change);
  /// Notes an issued certificate. Hand it out only after that. Expired ones are forgotten.
  boost::asio::awaitable<ServiceOutcome> record_certificate(std::string name,
                                                            ServiceCertificate certificate,
                                                            Change change);
  /// Refused from now on, even when storing that fails; then it may be called again.
  boost::asio::awaitable<ServiceOutcome> revoke_certificate(std::string name, std::string serial,
                                                            RevocationReason reason, Change change);

  // Questions. Any thread.

  /// nullptr when there is none.
  ServicePointer find(std::string_view name) const;
  /// Services with name > `after`, at most `limit`.
  std::vector<ServicePointer> list(std::string_view after, std::size_t limit) const;
  bool is_revoked(std::string_view serial) const;
  /// What a CRL of this moment lists of services.
  std::vector<RevokedCertificate> revocations(WallTime now) const;

 private:
  struct Entry {
    ServicePointer visible;  ///< what is durable; null while being made or removed
    ServicePointer newest;   ///< what has been handed to the committer
    bool removing = false;
  };
  std::shared_ptr<Service> begin_edit(const std::string& name, WallTime now) const;
  boost::asio::awaitable<ServiceOutcome> store(ServicePointer service, storage::Batch batch,
                                               plugin::AuditEvent event);
  void revoke(const ServiceCertificate& certificate, const std::string& name,
              RevocationReason reason, WallTime now, storage::Batch& batch);
  void prune_revocations(WallTime now, storage::Batch& batch);
  void tell_end(const std::string& name, const std::string& serial) const;

  plugin::AuditLog& audit_;
  std::vector<EndHook> hooks_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry, std::less<>> services_;
  std::map<std::string, Revocation, std::less<>> revoked_;
};

}  // namespace skerry::auth
