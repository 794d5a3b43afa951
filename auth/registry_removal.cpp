// The end of a device, and what is kept of it: revoked serials, rejected keys.
#include <algorithm>
#include <mutex>
#include <utility>

#include "auth/registry.hpp"
#include "auth/registry_journal.hpp"
#include "auth/registry_record.hpp"
#include "auth/revocation_kept.hpp"
#include "base/limits.hpp"

namespace skerry::auth {

std::optional<RegistryFailure> DeviceRegistry::begin_removal(std::string_view id,
                                                             const ChangeRequest& change,
                                                             DevicePointer& device) {
  const auto removal = removals_.find(id);
  if (removal != removals_.end() && removal->second.failed) {
    removal->second.failed = false;
    device = removal->second.device;
    return std::nullopt;
  }
  const auto entry = devices_.find(id);
  if (entry == devices_.end() || !entry->second.visible) {
    return RegistryFailure{RegistryError::not_found,
                           is_valid_device_id(id) ? "there is no device " + std::string{id}
                                                  : std::string{"there is no device of this id"},
                           {}};
  }
  device = entry->second.newest;  // it may hold the serial of a certificate that is being recorded
  if (change.expected && (change.expected->revision != device->revision ||
                          change.expected->created != device->created)) {
    return RegistryFailure{RegistryError::revision_mismatch,
                           "device " + device->id + " has been changed meanwhile",
                           {}};
  }
  unindex_details(*entry->second.visible);
  removals_.emplace(device->id, Removal{device, entry->second.visible, false});
  devices_.erase(entry);
  return std::nullopt;
}

void DeviceRegistry::submit_removal(const DevicePointer& device, const Edit& why,
                                    ChangeRequest& change, Done done) {
  storage::Batch batch;
  batch.erase(storage::Family::registry, device_record_key(device->id));
  std::vector<RevokedCertificate> revoked;
  for (const DeviceKey& key : device->keys) {
    for (const DeviceCertificate& certificate : key.certificates) {
      if (certificate.not_after <= change.now) {
        continue;
      }
      const Revocation revocation{certificate.not_after, change.now, device->id, why.reason};
      revoked_[certificate.serial] = revocation;  // at once, as the device goes at once
      batch.put(storage::Family::registry, revocation_record_key(certificate.serial),
                encode_revocation(revocation));
      revoked.push_back({certificate.serial, revocation});
    }
  }
  revocation_epoch_ += revoked.empty() ? 0 : 1;
  if (revoked_.size() >= revoked_prune_at_) {
    prune_revocations(change.now, batch);
  }
  batch.append(change.also);
  plugin::AuditEvent event;
  event.actor = change.actor.name;
  event.address = change.actor.address;
  event.action = why.action;
  event.object = "device:" + device->id;
  event.outcome = "ok";
  event.detail = describe_change(device.get(), *device, revoked);
  ChangeRequest rest;
  rest.now = change.now;
  rest.caller_judges_sessions = change.caller_judges_sessions;
  audit_.submit(
      std::move(batch), std::move(event),
      [this, device, action = why.action, done = std::move(done),
       rest](const storage::Status& status) { finish_erase(device, action, status, done, rest); });
}

void DeviceRegistry::prune_revocations(WallTime now, storage::Batch& batch) {
  for (auto entry = revoked_.begin(); entry != revoked_.end();) {
    if (entry->second.not_after > now - revocation_kept) {
      ++entry;
      continue;
    }
    batch.erase(storage::Family::registry, revocation_record_key(entry->first));
    entry = revoked_.erase(entry);
  }
  revoked_prune_at_ = std::max<std::size_t>(1024, revoked_.size() * 2);
}

/// `why.apply`, when set, may refuse the device as it is; the rest of a removal is always the same.
void DeviceRegistry::remove(std::string_view id, ChangeRequest change, const Edit& why, Done done) {
  DevicePointer device;
  std::optional<RegistryFailure> failure;
  const bool quiet = change.caller_judges_sessions;
  {
    const std::unique_lock lock{mutex_};
    const auto entry = devices_.find(id);
    if (why.apply && entry != devices_.end() && entry->second.visible) {
      Device copy = *entry->second.newest;
      if (const auto verdict = why.apply(copy); !verdict) {
        failure = verdict.error();
      }
    }
    if (!failure) {
      failure = begin_removal(id, change, device);
    }
    if (!failure) {
      submit_removal(device, why, change, std::move(done));
    }
  }
  if (failure) {
    done(std::move(*failure));
    return;
  }
  tell(*device, Change::erased);
  tell_rights(device->id, quiet);
}

void DeviceRegistry::erase(std::string_view id, ChangeRequest change, Done done) {
  remove(id, std::move(change),
         {"device.delete", RevocationReason::cessation_of_operation, nullptr}, std::move(done));
}

void DeviceRegistry::finish_erase(const DevicePointer& device, const char* action,
                                  const storage::Status& status, const Done& done,
                                  const ChangeRequest& change) {
  {
    const std::unique_lock lock{mutex_};
    const auto removal = removals_.find(device->id);
    if (status.ok()) {
      const DevicePointer visible = removal->second.visible;
      removals_.erase(removal);
      release_keys(*device, nullptr);
      release_keys(*visible, nullptr);
    } else if (device->state == DeviceState::pending) {
      // It had no right that could outlive it, and nobody would come to remove it once more.
      devices_.insert_or_assign(device->id, Entry{removal->second.visible, device});
      index_details(*removal->second.visible);
      removals_.erase(removal);
    } else {
      removal->second.failed = true;
    }
  }
  if (!status.ok()) {
    done(RegistryFailure{
        RegistryError::storage, "the change could not be stored: " + status.detail, {}});
    return;
  }
  tell(*device, Change::erased);
  tell_rights(device->id, change.caller_judges_sessions);
  using plugin::EventType;
  const EventType type =
      device->state == DeviceState::pending ? EventType::enrolment : EventType::device;
  if (events_->wanted(type)) {
    events_->publish({type, device->id, device_event(action, *device), change.now});
  }
  if (events_->wanted(EventType::certificate)) {
    for (const DeviceKey& key : device->keys) {
      for (const DeviceCertificate& certificate : key.certificates) {
        events_->publish({EventType::certificate, device->id,
                          certificate_event("certificate.revoke", certificate.serial,
                                            name_of(RevocationReason::cessation_of_operation)),
                          change.now});
      }
    }
  }
  done(device);
}

}  // namespace skerry::auth
