// How a change of the registry becomes durable: staged under the lock (so that changes are stored
// in the order in which they were made), handed over with its audit record, and shown to readers
// when the commit has come back, or taken back.
#include <algorithm>
#include <mutex>
#include <utility>

#include "auth/registry.hpp"
#include "auth/registry_journal.hpp"
#include "auth/registry_record.hpp"

namespace skerry::auth {

namespace {

using storage::Family;

bool has_certificate(const Device& device, std::string_view fingerprint, std::string_view serial) {
  const DeviceKey* key = device.key(fingerprint);
  return key != nullptr &&
         std::any_of(key->certificates.begin(), key->certificates.end(),
                     [serial](const auto& each) { return each.serial == serial; });
}

}  // namespace

/// The device that has the key or will have it once what is under way is stored; null when the key
/// is free. A removal keeps its keys until it is durable: it then gives a device without an entry.
DevicePointer DeviceRegistry::key_owner(std::string_view fingerprint) const {
  const std::string* id = indexed_owner(fingerprint);
  if (id == nullptr) {
    return nullptr;
  }
  if (const auto removal = removals_.find(*id); removal != removals_.end()) {
    return removal->second.device;
  }
  const auto entry = devices_.find(*id);
  const bool has = entry != devices_.end() && entry->second.newest->key(fingerprint) != nullptr;
  return has ? entry->second.newest : nullptr;
}

/// Puts `after` in place of `before` (null: a new device) for all changes to come, and what storing
/// it takes into `batch`. Certificates that are missing afterwards are revoked for `reason`. Others
/// that have its keys are pending (refuse_keys() has seen to that) and give way.
DeviceRegistry::Staged DeviceRegistry::stage(DevicePointer before, DevicePointer after,
                                             RevocationReason reason, storage::Batch& batch) {
  Staged staged{before, after, {}, {}, false};
  for (const DeviceKey& key : after->keys) {
    const DevicePointer owner = key_owner(key.fingerprint);
    if (owner && owner->id != after->id) {
      drop_pending(owner, batch, staged);
    }
    ids_by_key_.insert_or_assign(key_hash(key.fingerprint), after->id);
    if (!rejected_.empty() && rejected_.erase(key.fingerprint) > 0) {
      batch.erase(Family::registry, rejection_record_key(key.fingerprint));
    }
  }
  if (before) {
    for (const DeviceKey& key : before->keys) {
      for (const DeviceCertificate& certificate : key.certificates) {
        if (certificate.not_after > after->changed &&
            !has_certificate(*after, key.fingerprint, certificate.serial)) {
          Revocation revocation{certificate.not_after, after->changed, after->id, reason};
          batch.put(Family::registry, revocation_record_key(certificate.serial),
                    encode_revocation(revocation));
          staged.revoked.push_back({certificate.serial, std::move(revocation)});
        }
      }
    }
  }
  if (revoked_.size() >= revoked_prune_at_) {
    prune_revocations(after->changed, batch);
  }
  if (after->state == DeviceState::pending) {
    index_details(*after);  // at once: the caps count what is under way
  }
  batch.put(Family::registry, device_record_key(after->id), encode_device(*after));
  devices_[after->id].newest = std::move(after);
  return staged;
}

/// A pending device gives way to one that takes its key; it comes back if that is not stored.
void DeviceRegistry::drop_pending(const DevicePointer& device, storage::Batch& batch,
                                  Staged& staged) {
  batch.erase(storage::Family::registry, device_record_key(device->id));
  devices_.erase(device->id);
  removals_.emplace(device->id, Removal{device, device, false});
  staged.dropped.push_back(device);
}

void DeviceRegistry::submit(Staged staged, const char* action, ChangeRequest& change,
                            storage::Batch batch, const Done& done) {
  batch.append(change.also);
  staged.caller_judges_sessions = change.caller_judges_sessions;
  plugin::AuditEvent event;
  event.actor = change.actor.name;
  event.address = change.actor.address;
  event.action = action;
  event.object = "device:" + staged.after->id;
  event.outcome = "ok";
  event.detail = describe_change(staged.before.get(), *staged.after, staged.revoked);
  audit_.submit(std::move(batch), std::move(event),
                [this, staged = std::move(staged), action, done, now = change.now](
                    const storage::Status& status) { finish(staged, action, status, done, now); });
}

void DeviceRegistry::finish(const Staged& staged, const char* action, const storage::Status& status,
                            const Done& done, WallTime now) {
  bool exists = false;
  {
    const std::unique_lock lock{mutex_};
    exists = devices_.contains(staged.after->id);
    settle(staged, status.ok());
  }
  if (!status.ok()) {
    done(RegistryFailure{
        RegistryError::storage, "the change could not be stored: " + status.detail, {}});
    return;
  }
  if (!exists) {
    done(RegistryFailure{
        RegistryError::not_found, "there is no device " + staged.after->id + " any more", {}});
    return;
  }
  announce(staged, action, now);
  done(staged.after);
}

/// Makes a stored change visible, or takes a failed one back. Completions come in the order of the
/// submissions.
void DeviceRegistry::settle(const Staged& staged, bool stored) {
  if (stored) {
    for (const RevokedCertificate& certificate : staged.revoked) {
      revoked_.insert_or_assign(certificate.serial, certificate.revocation);
    }
    revocation_epoch_ += staged.revoked.empty() ? 0 : 1;
  }
  const auto at = devices_.find(staged.after->id);
  if (at == devices_.end()) {
    settle_dropped(staged, stored);
    return;  // erased meanwhile: its removal gives the keys back
  }
  Entry& entry = at->second;
  if (stored) {
    const DevicePointer old = entry.visible;
    show(entry, staged.after);
    if (old) {
      release_keys(*old, &entry);
    }
  } else {
    if (entry.newest == staged.after) {
      entry.newest = entry.visible;
    }
    if (staged.after->state == DeviceState::pending) {
      unindex_details(*staged.after);
    }
    const bool is_gone = !entry.newest;
    release_keys(*staged.after, is_gone ? nullptr : &entry);
    if (is_gone) {
      devices_.erase(at);
    } else if (entry.visible) {
      // A key that this change had let go may have been taken by a later one, which fails as well.
      for (const DeviceKey& key : entry.visible->keys) {
        ids_by_key_.insert_or_assign(key_hash(key.fingerprint), entry.visible->id);
      }
    }
  }
  settle_dropped(staged, stored);
}

void DeviceRegistry::settle_dropped(const Staged& staged, bool stored) {
  for (const DevicePointer& device : staged.dropped) {
    removals_.erase(device->id);
    if (stored) {
      unindex_details(*device);
      continue;
    }
    devices_.insert_or_assign(device->id, Entry{device, device});
    for (const DeviceKey& key : device->keys) {
      ids_by_key_.insert_or_assign(key_hash(key.fingerprint), device->id);
    }
  }
}

void DeviceRegistry::show(Entry& entry, const DevicePointer& device) {
  if (entry.visible) {
    unindex_details(*entry.visible);
  }
  index_details(*device);
  entry.visible = device;
}

/// Frees those keys of `device` that neither what is visible nor what is under way has.
void DeviceRegistry::release_keys(const Device& device, const Entry* entry) {
  for (const DeviceKey& key : device.keys) {
    const bool is_kept =
        entry != nullptr && ((entry->visible && entry->visible->key(key.fingerprint) != nullptr) ||
                             (entry->newest && entry->newest->key(key.fingerprint) != nullptr));
    const auto at = ids_by_key_.find(key_hash(key.fingerprint));
    if (!is_kept && at != ids_by_key_.end() && at->second == device.id) {
      ids_by_key_.erase(at);
    }
  }
}

/// Tells hooks and listeners of what is durable.
void DeviceRegistry::announce(const Staged& staged, const char* action, WallTime now) const {
  for (const DevicePointer& device : staged.dropped) {
    tell(*device, Change::erased);
  }
  const Device& device = *staged.after;
  tell(device, staged.before ? Change::updated : Change::created);
  if (staged.before) {
    tell_rights(device.id, staged.caller_judges_sessions);
  }
  using plugin::EventType;
  const std::string_view name{action};
  const bool is_enrolment = device.state == DeviceState::pending || name == "device.approve";
  const EventType type = is_enrolment ? EventType::enrolment : EventType::device;
  if (events_->wanted(type)) {
    events_->publish({type, device.id, device_event(action, device), now});
  }
  if (!events_->wanted(EventType::certificate)) {
    return;
  }
  for (const DeviceKey& key : device.keys) {
    for (const DeviceCertificate& certificate : key.certificates) {
      if (!staged.before || !has_certificate(*staged.before, key.fingerprint, certificate.serial)) {
        events_->publish({EventType::certificate, device.id,
                          certificate_event("certificate.issue", certificate.serial, {}), now});
      }
    }
  }
  for (const RevokedCertificate& certificate : staged.revoked) {
    events_->publish({EventType::certificate, device.id,
                      certificate_event("certificate.revoke", certificate.serial,
                                        name_of(certificate.revocation.reason)),
                      now});
  }
}

}  // namespace skerry::auth
