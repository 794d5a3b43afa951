// Changes of one device: creation, details, states, keys, certificates.
#include <algorithm>
#include <mutex>
#include <utility>

#include "auth/registry.hpp"
#include "base/limits.hpp"

namespace skerry::auth {

namespace {

using Edited = Result<bool, RegistryFailure>;

RegistryFailure no_such_device(std::string_view id) {
  // What cannot be an id is not repeated.
  return {RegistryError::not_found,
          is_valid_device_id(id) ? "there is no device " + std::string{id}
                                 : std::string{"there is no device of this id"},
          {}};
}

RegistryFailure wrong_state(const Device& device, const char* what) {
  return {RegistryError::invalid_state,
          "device " + device.id + " is " + std::string{name_of(device.state)} + ": " + what,
          {}};
}

RegistryFailure no_such_key(const Device& device) {
  return {RegistryError::key_not_found, "device " + device.id + " has no such key", {}};
}

bool has_certificates(const Device& device) {
  return std::any_of(device.keys.begin(), device.keys.end(),
                     [](const DeviceKey& key) { return !key.certificates.empty(); });
}

std::optional<RegistryFailure> refuse_key_change(const Device& device) {
  if (device.state == DeviceState::pending) {
    return wrong_state(device, "approve or reject it");
  }
  if (device.state == DeviceState::retired) {
    return wrong_state(device, "its keys are final");
  }
  return std::nullopt;
}

/// Adds the certificate to its key; drops what has expired, then the oldest above the cap.
void add_certificate(DeviceKey& key, DeviceCertificate certificate, WallTime now) {
  std::erase_if(key.certificates, [now](const auto& old) { return old.not_after <= now; });
  key.certificates.push_back(std::move(certificate));
  if (key.certificates.size() > certificates_per_key_max) {
    key.certificates.erase(key.certificates.begin());
  }
}

void drop_ended_keys(Device& device, WallTime now) {
  std::erase_if(device.keys,
                [now](const DeviceKey& key) { return key.not_after && *key.not_after <= now; });
}

/// Brings in the new key of a rotation and ends the old one; the key to use, or null.
DeviceKey* rotate(Device& device, const IssuedCertificate& issued, WallTime now) {
  DeviceKey* key = device.key(issued.fingerprint);
  DeviceKey* old = issued.replaces.empty() ? nullptr : device.key(issued.replaces);
  if (old == nullptr || issued.replaces == issued.fingerprint) {
    return key;
  }
  if (issued.overlap_end && (!old->not_after || *old->not_after > *issued.overlap_end)) {
    old->not_after = issued.overlap_end;
  }
  if (key == nullptr) {
    drop_ended_keys(device, now);
    device.keys.push_back({issued.fingerprint, now, {}, {}});
  }
  return device.key(issued.fingerprint);
}

Edited enrol(Device& device, const IssuedCertificate& issued, WallTime now) {
  if (device.state != DeviceState::preauthorised && device.state != DeviceState::enrolled) {
    return wrong_state(device, "it is given no certificate");
  }
  if (device.is_expired(now)) {
    return wrong_state(device, "its right to enrol has ended");
  }
  DeviceKey* key = rotate(device, issued, now);
  if (key == nullptr) {
    return no_such_key(device);
  }
  if (key->not_after && *key->not_after <= now) {
    return wrong_state(device, "the right of this key has ended");
  }
  // Back to one that was replaced itself: both would end within the overlap, and the device with
  // them.
  if (!issued.replaces.empty() && issued.overlap_end && key->not_after &&
      *key->not_after <= *issued.overlap_end) {
    return wrong_state(device, "the key that is to take over ends as soon as the old one");
  }
  add_certificate(*key, issued.certificate, now);
  device.state = DeviceState::enrolled;
  return true;
}

/// Removes the certificate, or its whole key when that is no secret any more.
Edited take_certificate(Device& device, std::string_view serial, RevocationReason reason) {
  for (DeviceKey& key : device.keys) {
    const auto at =
        std::find_if(key.certificates.begin(), key.certificates.end(),
                     [serial](const auto& certificate) { return certificate.serial == serial; });
    if (at == key.certificates.end()) {
      continue;
    }
    key.certificates.erase(at);
    if (reason == RevocationReason::key_compromise) {
      device.keys.erase(device.keys.begin() + (&key - device.keys.data()));
    }
    return true;
  }
  return RegistryFailure{
      RegistryError::certificate_not_found, "no certificate of this serial is good", {}};
}

}  // namespace

std::optional<RegistryFailure> DeviceRegistry::refuse_keys(const Device& device) const {
  for (const DeviceKey& key : device.keys) {
    const DevicePointer owner = key_owner(key.fingerprint);
    if (!owner || owner->id == device.id) {
      continue;
    }
    const auto entry = devices_.find(owner->id);
    const bool gives_way = owner->state == DeviceState::pending && entry != devices_.end() &&
                           entry->second.visible == owner;
    if (!gives_way) {
      return RegistryFailure{RegistryError::key_taken,
                             "the key " + key.fingerprint + " belongs to device " + owner->id,
                             "/keys"};
    }
  }
  return std::nullopt;
}

std::optional<RegistryFailure> DeviceRegistry::refuse_create(const Device& device) const {
  const auto entry = devices_.find(device.id);
  if (entry != devices_.end()) {
    const bool gives_way = entry->second.visible == entry->second.newest &&
                           entry->second.newest->state == DeviceState::pending;
    if (!gives_way) {
      return RegistryFailure{RegistryError::exists, "there is a device " + device.id + " already",
                             "/id"};
    }
  }
  if (removals_.contains(device.id)) {
    return RegistryFailure{
        RegistryError::exists,
        "the removal of device " + device.id + " has not been stored yet; try again", "/id"};
  }
  if (auto failure = refuse_keys(device)) {
    return failure;
  }
  if (devices_.size() >= devices_max) {
    return RegistryFailure{RegistryError::limit, "the registry is full", {}};
  }
  return std::nullopt;
}

/// Stages and submits a device that refuse_create() has nothing against. Under the lock.
void DeviceRegistry::create_locked(std::shared_ptr<Device> device, ChangeRequest& change,
                                   const char* action, const Done& done) {
  const auto entry = devices_.find(device->id);
  const DevicePointer before = entry == devices_.end() ? nullptr : entry->second.newest;
  storage::Batch batch;
  Staged staged = stage(before, std::move(device), RevocationReason::superseded, batch);
  submit(std::move(staged), action, change, std::move(batch), done);
}

void DeviceRegistry::create(std::string id, DevicePatch details, ChangeRequest change, Done done) {
  std::optional<RegistryFailure> failure;
  if (!is_valid_device_id(id)) {
    failure = RegistryFailure{
        RegistryError::invalid_id,
        "a device id has 1 to 64 characters, a letter or digit and then letters, digits, '.', '_', "
        "'~' or '-', and is not 'sub', 'pub' or 'health'",
        "/id"};
  } else {
    failure = check_patch(details);
  }
  auto device = std::make_shared<Device>();
  device->id = std::move(id);
  device->created = change.now;
  device->changed = change.now;
  if (!failure) {
    apply_patch(details, change.now, *device);
    failure = check_device(*device);
  }
  if (!failure) {
    const std::unique_lock lock{mutex_};
    failure = refuse_create(*device);
    if (!failure) {
      create_locked(std::move(device), change, "device.create", done);
      return;
    }
  }
  done(std::move(*failure));
}

std::optional<RegistryFailure> DeviceRegistry::modify_locked(std::string_view id,
                                                             ChangeRequest& change,
                                                             const Edit& edit, const Done& done,
                                                             DevicePointer& unchanged) {
  const auto entry = devices_.find(id);
  if (entry == devices_.end() || !entry->second.visible) {
    return no_such_device(id);
  }
  const DevicePointer& newest = entry->second.newest;
  if (change.expected && (change.expected->revision != newest->revision ||
                          change.expected->created != newest->created)) {
    return RegistryFailure{RegistryError::revision_mismatch,
                           "device " + newest->id + " has been changed meanwhile",
                           {}};
  }
  auto device = std::make_shared<Device>(*newest);
  const Edited edited = edit.apply(*device);
  if (!edited) {
    return edited.error();
  }
  // What is unchanged but still under way must not be confirmed before it is stored.
  if (!*edited && newest == entry->second.visible && change.also.empty()) {
    unchanged = newest;
    return std::nullopt;
  }
  if (auto failure = check_device(*device)) {
    return failure;
  }
  if (auto failure = refuse_keys(*device)) {
    return failure;
  }
  device->changed = change.now;
  ++device->revision;
  storage::Batch batch;
  Staged staged = stage(newest, std::move(device), edit.reason, batch);
  submit(std::move(staged), edit.action, change, std::move(batch), done);
  return std::nullopt;
}

void DeviceRegistry::modify(std::string_view id, ChangeRequest change, const Edit& edit,
                            const Done& done) {
  DevicePointer unchanged;
  std::optional<RegistryFailure> failure;
  {
    const std::unique_lock lock{mutex_};
    failure = modify_locked(id, change, edit, done, unchanged);
  }
  if (failure) {
    done(std::move(*failure));
  } else if (unchanged) {
    done(std::move(unchanged));
  }
}

void DeviceRegistry::update(std::string_view id, DevicePatch patch, ChangeRequest change,
                            Done done) {
  if (auto failure = check_patch(patch)) {
    done(std::move(*failure));
    return;
  }
  const auto apply = [&patch, now = change.now](Device& device) -> Edited {
    if (device.state == DeviceState::pending) {
      return wrong_state(device, "approve or reject it");
    }
    if (device.state == DeviceState::retired && changes_keys(patch, now, device)) {
      return wrong_state(device, "its keys are final");
    }
    return apply_patch(patch, now, device);
  };
  modify(id, std::move(change), {"device.update", RevocationReason::cessation_of_operation, apply},
         done);
}

void DeviceRegistry::suspend(std::string_view id, ChangeRequest change, Done done) {
  const auto apply = [](Device& device) -> Edited {
    if (device.state == DeviceState::pending || device.state == DeviceState::retired) {
      return wrong_state(device, "it cannot be suspended");
    }
    return std::exchange(device.state, DeviceState::suspended) != DeviceState::suspended;
  };
  modify(id, std::move(change), {"device.suspend", {}, apply}, done);
}

void DeviceRegistry::resume(std::string_view id, ChangeRequest change, Done done) {
  const auto apply = [](Device& device) -> Edited {
    if (device.state == DeviceState::pending || device.state == DeviceState::retired) {
      return wrong_state(device, "it cannot be resumed");
    }
    if (device.state != DeviceState::suspended) {
      return false;
    }
    device.state = has_certificates(device) ? DeviceState::enrolled : DeviceState::preauthorised;
    return true;
  };
  modify(id, std::move(change), {"device.resume", {}, apply}, done);
}

void DeviceRegistry::retire(std::string_view id, ChangeRequest change, Done done) {
  const auto apply = [](Device& device) -> Edited {
    if (device.state == DeviceState::pending) {
      return wrong_state(device, "approve or reject it");
    }
    for (DeviceKey& key : device.keys) {
      key.certificates.clear();
    }
    return std::exchange(device.state, DeviceState::retired) != DeviceState::retired;
  };
  modify(id, std::move(change), {"device.retire", RevocationReason::cessation_of_operation, apply},
         done);
}

void DeviceRegistry::add_key(std::string_view id, KeyWish key, ChangeRequest change, Done done) {
  if (auto failure = check_patch({.keys = std::vector{key}})) {
    done(std::move(*failure));
    return;
  }
  const auto apply = [&key, now = change.now](Device& device) -> Edited {
    if (auto failure = refuse_key_change(device)) {
      return *std::move(failure);
    }
    if (DeviceKey* known = device.key(key.fingerprint)) {
      return std::exchange(known->not_after, key.not_after) != key.not_after;
    }
    drop_ended_keys(device, now);
    device.keys.push_back({key.fingerprint, now, {}, key.not_after});
    return true;
  };
  modify(id, std::move(change), {"device.add_key", RevocationReason::superseded, apply}, done);
}

void DeviceRegistry::remove_key(std::string_view id, std::string_view fingerprint,
                                RevocationReason reason, ChangeRequest change, Done done) {
  const auto apply = [fingerprint](Device& device) -> Edited {
    if (auto failure = refuse_key_change(device)) {
      return *std::move(failure);
    }
    const auto gone = std::erase_if(
        device.keys, [&](const DeviceKey& key) { return key.fingerprint == fingerprint; });
    return gone > 0 ? Edited{true} : Edited{no_such_key(device)};
  };
  modify(id, std::move(change), {"device.remove_key", reason, apply}, done);
}

void DeviceRegistry::record_certificate(std::string_view id, IssuedCertificate issued,
                                        ChangeRequest change, Done done) {
  if (!is_valid_fingerprint(issued.fingerprint)) {
    done(RegistryFailure{RegistryError::invalid_fingerprint, "this is no fingerprint", {}});
    return;
  }
  const auto apply = [&issued, now = change.now](Device& device) {
    return enrol(device, issued, now);
  };
  modify(id, std::move(change), {"certificate.issue", RevocationReason::superseded, apply}, done);
}

void DeviceRegistry::revoke_certificate(std::string_view serial, RevocationReason reason,
                                        ChangeRequest change, Done done) {
  const DevicePointer device = find_by_serial(serial);
  if (!device) {
    done(RegistryFailure{
        RegistryError::certificate_not_found, "no certificate of this serial is good", {}});
    return;
  }
  const auto apply = [serial, reason](Device& copy) {
    return take_certificate(copy, serial, reason);
  };
  modify(device->id, std::move(change), {"certificate.revoke", reason, apply}, done);
}

}  // namespace skerry::auth
