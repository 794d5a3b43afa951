#include "auth/service_registry.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <mutex>
#include <utility>

#include "auth/json_record.hpp"
#include "auth/revocation_kept.hpp"
#include "base/assert.hpp"
#include "base/limits.hpp"
#include "http/await.hpp"

namespace skerry::auth {

namespace {

using boost::asio::awaitable;
using storage::Family;

constexpr std::string_view service_prefix = "service/";
constexpr std::string_view revocation_prefix = "service-revoked/";

std::string key_of(std::string_view prefix, std::string_view name) {
  return std::string{prefix}.append(name);
}

std::string encode(const Service& service) {
  boost::json::array certificates;
  for (const ServiceCertificate& certificate : service.certificates) {
    boost::json::object item;
    item["serial"] = certificate.serial;
    item["fingerprint"] = certificate.fingerprint;
    item["issued"] = epoch_milliseconds(certificate.issued);
    item["notAfter"] = epoch_milliseconds(certificate.not_after);
    certificates.push_back(std::move(item));
  }
  boost::json::object record;
  record["policy"] = service.policy;
  record["created"] = epoch_milliseconds(service.created);
  record["changed"] = epoch_milliseconds(service.changed);
  record["revision"] = service.revision;
  record["certificates"] = std::move(certificates);
  return encode_json_record(record);
}

ServicePointer decode(std::string name, std::string_view value) {
  const auto record = decode_json_record(value);
  if (!record || !is_valid_device_id(name)) {
    return nullptr;
  }
  auto service = std::make_shared<Service>();
  service->name = std::move(name);
  service->policy = text_member(*record, "policy");
  service->created = time_member(*record, "created");
  service->changed = time_member(*record, "changed");
  service->revision = static_cast<std::uint64_t>(number_member(*record, "revision"));
  const boost::json::value* certificates = record->if_contains("certificates");
  if (service->policy.empty() || certificates == nullptr || !certificates->is_array()) {
    return nullptr;
  }
  for (const boost::json::value& item : certificates->get_array()) {
    if (!item.is_object()) {
      return nullptr;
    }
    const boost::json::object& members = item.get_object();
    service->certificates.push_back(
        {text_member(members, "serial"), text_member(members, "fingerprint"),
         time_member(members, "issued"), time_member(members, "notAfter")});
  }
  return service;
}

std::string encode(const Revocation& revocation) {
  boost::json::object record;
  record["notAfter"] = epoch_milliseconds(revocation.not_after);
  record["revoked"] = epoch_milliseconds(revocation.revoked);
  record["service"] = revocation.device;
  record["reason"] = static_cast<std::int64_t>(revocation.reason);
  return encode_json_record(record);
}

/// A serial whose record is damaged stays revoked for good: the safe side.
Revocation decode_revocation_record(std::string_view value) {
  const auto record = decode_json_record(value);
  if (!record) {
    return {.not_after = WallTime::max()};
  }
  return {time_member(*record, "notAfter"), time_member(*record, "revoked"),
          text_member(*record, "service"),
          static_cast<RevocationReason>(number_member(*record, "reason"))};
}

plugin::AuditEvent event_of(const Actor& actor, const char* action, const std::string& name,
                            std::string detail) {
  plugin::AuditEvent event;
  event.actor = actor.name;
  event.action = action;
  event.object = "service:" + name;
  event.outcome = "ok";
  event.detail = std::move(detail);
  event.address = actor.address;
  return event;
}

ServiceFailure not_found(const std::string& name) {
  return {ServiceError::not_found, is_valid_device_id(name) ? "there is no service \"" + name + "\""
                                                            : "there is no service of this name"};
}

ServiceFailure storage_failure(const storage::Status& status) {
  return {ServiceError::storage, "the change could not be stored: " + status.detail};
}

}  // namespace

void throw_exception_from_error(const ServiceFailure&, const boost::source_location& where) {
  assertion_failed("value of a failed service outcome", where.file_name(),
                   static_cast<int>(where.line()));
}

const ServiceCertificate* Service::certificate(std::string_view serial) const noexcept {
  const auto at = std::find_if(certificates.begin(), certificates.end(),
                               [serial](const auto& each) { return each.serial == serial; });
  return at == certificates.end() ? nullptr : &*at;
}

storage::Status ServiceRegistry::load(const storage::KvStore& store) {
  const std::unique_lock lock{mutex_};
  for (const std::string_view prefix : {service_prefix, revocation_prefix}) {
    const auto records =
        store.scan(Family::admin, {std::string{prefix}, storage::prefix_end(prefix)});
    if (!records) {
      return {storage::StatusCode::closed, "the store is closed"};
    }
    for (records->seek_first(); records->valid(); records->next()) {
      std::string name{records->key().substr(prefix.size())};
      if (prefix == revocation_prefix) {
        revoked_[std::move(name)] = decode_revocation_record(records->value());
      } else if (ServicePointer service = decode(std::move(name), records->value())) {
        services_[service->name] = {service, service};
      }
    }
    if (const storage::Status status = records->status(); !status.ok()) {
      return status;
    }
  }
  return {};
}

void ServiceRegistry::tell_end(const std::string& name, const std::string& serial) const {
  for (const EndHook& hook : hooks_) {
    hook(name, serial);
  }
}

awaitable<ServiceOutcome> ServiceRegistry::store(ServicePointer service, storage::Batch batch,
                                                 plugin::AuditEvent event) {
  batch.put(Family::admin, key_of(service_prefix, service->name), encode(*service));
  auto submit = [this, &batch, &event](auto done) {
    audit_.submit(std::move(batch), std::move(event), done);
  };
  const auto status = co_await http::await_callback<storage::Status>(std::move(submit));
  const std::unique_lock lock{mutex_};
  const auto entry = services_.find(service->name);
  if (entry == services_.end() || entry->second.removing) {
    co_return not_found(service->name);
  }
  if (status.ok()) {
    entry->second.visible = service;  // completions come in the order of the submissions
    co_return service;
  }
  if (entry->second.newest == service) {
    entry->second.newest = entry->second.visible;
  }
  if (!entry->second.newest) {
    services_.erase(entry);
  }
  co_return storage_failure(status);
}

awaitable<ServiceOutcome> ServiceRegistry::create(std::string name, std::string policy,
                                                  Change change) {
  if (!is_valid_device_id(name)) {
    co_return ServiceFailure{
        ServiceError::invalid_name,
        "a service name has 1 to 64 characters, a letter or digit and then letters, digits, '.', "
        "'_', '~' or '-', and is not 'sub', 'pub' or 'health'"};
  }
  auto service = std::make_shared<Service>();
  service->name = name;
  service->policy = policy;
  service->created = change.now;
  service->changed = change.now;
  std::optional<ServiceFailure> failure;
  {
    const std::unique_lock lock{mutex_};
    if (services_.contains(name)) {
      failure = {ServiceError::exists, "there is a service " + name + " already"};
    } else if (services_.size() >= services_max) {
      failure = {ServiceError::limit, "there are too many services"};
    } else {
      services_[name] = {nullptr, service};
    }
  }
  if (failure) {
    co_return *failure;
  }
  co_return co_await store(service, {},
                           event_of(change.actor, "service.create", name, "policy " + policy));
}

/// A copy of the newest state to change; null when there is no such service.
std::shared_ptr<Service> ServiceRegistry::begin_edit(const std::string& name, WallTime now) const {
  const auto entry = services_.find(name);
  if (entry == services_.end() || !entry->second.visible || entry->second.removing) {
    return nullptr;
  }
  auto service = std::make_shared<Service>(*entry->second.newest);
  std::erase_if(service->certificates, [now](const auto& old) { return old.not_after <= now; });
  service->changed = now;
  ++service->revision;
  return service;
}

void ServiceRegistry::revoke(const ServiceCertificate& certificate, const std::string& name,
                             RevocationReason reason, WallTime now, storage::Batch& batch) {
  const Revocation revocation{certificate.not_after, now, name, reason};
  revoked_[certificate.serial] = revocation;
  batch.put(Family::admin, key_of(revocation_prefix, certificate.serial), encode(revocation));
}

void ServiceRegistry::prune_revocations(WallTime now, storage::Batch& batch) {
  std::erase_if(revoked_, [&](const auto& each) {
    if (now - revocation_kept < each.second.not_after) {
      return false;
    }
    batch.erase(Family::admin, key_of(revocation_prefix, each.first));
    return true;
  });
}

awaitable<ServiceOutcome> ServiceRegistry::erase(std::string name, Change change) {
  ServicePointer service;
  storage::Batch batch;
  {
    const std::unique_lock lock{mutex_};
    const auto entry = services_.find(name);
    if (entry != services_.end() && (entry->second.visible || entry->second.removing)) {
      service = entry->second.newest;
      entry->second.visible = nullptr;
      entry->second.removing = true;
      prune_revocations(change.now, batch);
      for (const ServiceCertificate& certificate : service->certificates) {
        if (change.now < certificate.not_after) {
          revoke(certificate, name, RevocationReason::cessation_of_operation, change.now, batch);
        }
      }
    }
  }
  if (!service) {
    co_return not_found(name);
  }
  tell_end(name, {});
  batch.erase(Family::admin, key_of(service_prefix, name));
  auto submit = [this, &batch, event = event_of(change.actor, "service.delete", name, {})](
                    auto done) { audit_.submit(std::move(batch), event, done); };
  const auto status = co_await http::await_callback<storage::Status>(std::move(submit));
  if (!status.ok()) {
    co_return storage_failure(status);
  }
  {
    const std::unique_lock lock{mutex_};
    services_.erase(name);
  }
  tell_end(name, {});
  co_return service;
}

awaitable<ServiceOutcome> ServiceRegistry::record_certificate(std::string name,
                                                              ServiceCertificate certificate,
                                                              Change change) {
  std::shared_ptr<Service> service;
  {
    const std::unique_lock lock{mutex_};
    service = begin_edit(name, change.now);
    if (service && service->certificates.size() < certificates_per_service_max) {
      service->certificates.push_back(certificate);
      services_.find(name)->second.newest = service;
    }
  }
  if (!service) {
    co_return not_found(name);
  }
  if (service->certificate(certificate.serial) == nullptr) {
    co_return ServiceFailure{
        ServiceError::limit,
        "the service has too many certificates that are good; revoke one of them first"};
  }
  co_return co_await store(
      service, {},
      event_of(change.actor, "certificate.issue", name, "serial " + certificate.serial));
}

awaitable<ServiceOutcome> ServiceRegistry::revoke_certificate(std::string name, std::string serial,
                                                              RevocationReason reason,
                                                              Change change) {
  std::shared_ptr<Service> service;
  storage::Batch batch;
  bool found = false;
  {
    const std::unique_lock lock{mutex_};
    service = begin_edit(name, change.now);
    const ServiceCertificate* certificate = service ? service->certificate(serial) : nullptr;
    found = certificate != nullptr;
    if (found) {
      prune_revocations(change.now, batch);
      revoke(*certificate, name, reason, change.now, batch);
      std::erase_if(service->certificates, [&](const auto& each) { return each.serial == serial; });
      services_.find(name)->second.newest = service;
    }
  }
  if (!found) {
    co_return service ? ServiceFailure{ServiceError::certificate_not_found,
                                       "the service has no good certificate of this serial"}
                      : not_found(name);
  }
  tell_end(name, serial);
  const ServiceOutcome outcome =
      co_await store(service, std::move(batch),
                     event_of(change.actor, "certificate.revoke", name,
                              "serial " + serial + ", " + std::string{name_of(reason)}));
  tell_end(name, serial);
  co_return outcome;
}

ServicePointer ServiceRegistry::find(std::string_view name) const {
  const std::shared_lock lock{mutex_};
  const auto entry = services_.find(name);
  return entry == services_.end() ? nullptr : entry->second.visible;
}

std::vector<ServicePointer> ServiceRegistry::list(std::string_view after, std::size_t limit) const {
  std::vector<ServicePointer> found;
  const std::shared_lock lock{mutex_};
  for (auto entry = services_.upper_bound(after); entry != services_.end() && found.size() < limit;
       ++entry) {
    if (entry->second.visible) {
      found.push_back(entry->second.visible);
    }
  }
  return found;
}

bool ServiceRegistry::is_revoked(std::string_view serial) const {
  const std::shared_lock lock{mutex_};
  return revoked_.find(serial) != revoked_.end();
}

std::vector<RevokedCertificate> ServiceRegistry::revocations(WallTime since) const {
  std::vector<RevokedCertificate> found;
  const std::shared_lock lock{mutex_};
  for (const auto& [serial, revocation] : revoked_) {
    if (since < revocation.not_after) {
      found.push_back({serial, revocation});
    }
  }
  return found;
}

}  // namespace skerry::auth
