// Approval mode: unknown keys that ask for a certificate wait here for a human. Peers that nobody
// knows fill this list, so it is bounded in every direction.
#include <algorithm>
#include <mutex>
#include <utility>

#include "auth/attempt_limiter.hpp"
#include "auth/registry.hpp"
#include "auth/registry_record.hpp"
#include "base/limits.hpp"
#include "mqtt/topic.hpp"

namespace skerry::auth {

namespace {

/// What a peer says of itself, made fit for a log, a terminal and a web page.
std::string tame(std::string_view text) {
  std::string_view cut = text.substr(0, enrolment_text_bytes_max);
  // A character that was cut in its middle would spoil the whole text.
  for (int byte = 0; byte < 3 && cut.size() < text.size() && !mqtt::is_valid_utf8(cut); ++byte) {
    cut.remove_suffix(1);
  }
  const bool is_text = mqtt::is_valid_utf8(cut);
  std::string tamed{cut};
  for (char& character : tamed) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte == 0x7F || (!is_text && byte >= 0x80)) {
      character = '?';
    }
  }
  return tamed;
}

RegistryFailure too_many(const char* what) {
  return {RegistryError::limit, what, {}};
}

}  // namespace

/// Why this request is not taken in; or the device that has the key already. Under the lock.
std::optional<RegistryFailure> DeviceRegistry::refuse_request(const ApprovalRequest& request,
                                                              WallTime now, DevicePointer& known) {
  if (const DevicePointer owner = key_owner(request.fingerprint)) {
    const auto entry = devices_.find(owner->id);
    if (owner->state == DeviceState::pending && entry != devices_.end() &&
        entry->second.visible == owner) {
      known = owner;
      return std::nullopt;
    }
    return RegistryFailure{RegistryError::exists, "the key has just become known; ask again", {}};
  }
  const auto rejected = rejected_.find(request.fingerprint);
  if (rejected != rejected_.end() && now - rejected->second < pending_life) {
    return RegistryFailure{RegistryError::rejected, "the key has been rejected", {}};
  }
  if (pending_.size() >= pending_devices_max || devices_.size() >= devices_max) {
    ++approvals_refused_;
    return too_many("too many devices wait for approval");
  }
  const auto same_address = pending_by_address_.find(address_group(request.address));
  if (same_address != pending_by_address_.end() &&
      same_address->second >= pending_per_address_max) {
    ++approvals_refused_;
    return too_many("too many devices from this address wait for approval");
  }
  return std::nullopt;
}

std::string DeviceRegistry::free_id(const ApprovalRequest& request) const {
  const auto is_free = [this](std::string_view id) {
    return is_valid_device_id(id) && !devices_.contains(id) && !removals_.contains(id);
  };
  const std::string short_id = "device-" + request.fingerprint.substr(0, 16);
  for (const std::string& id : {request.proposed_id, short_id}) {
    if (is_free(id)) {
      return id;
    }
  }
  return is_free(request.fingerprint) ? request.fingerprint : std::string{};
}

void DeviceRegistry::request_approval(ApprovalRequest request, WallTime now, Done done) {
  expire_pending(now);
  std::optional<RegistryFailure> failure;
  DevicePointer known;
  if (!is_valid_fingerprint(request.fingerprint)) {
    failure = RegistryFailure{RegistryError::invalid_fingerprint, "this is no fingerprint", {}};
  } else {
    const std::unique_lock lock{mutex_};
    failure = refuse_request(request, now, known);
    auto device = std::make_shared<Device>();
    device->id = failure || known ? std::string{} : free_id(request);
    if (!device->id.empty()) {
      device->state = DeviceState::pending;
      device->created = now;
      device->changed = now;
      device->keys.push_back({request.fingerprint, now, {}, {}});
      device->request = std::make_shared<const EnrolmentRequest>(EnrolmentRequest{
          tame(request.subject), tame(request.key_type), tame(request.address), now});
      ChangeRequest change;
      change.now = now;
      change.actor = {"unknown", request.address};
      create_locked(std::move(device), change, "device.request", done);
      return;
    }
  }
  if (known) {
    done(std::move(known));
    return;
  }
  done(failure ? std::move(*failure)
               : RegistryFailure{RegistryError::exists, "no id is free for this key", {}});
}

void DeviceRegistry::approve(std::string_view id, Approval approval, ChangeRequest change,
                             Done done) {
  std::optional<RegistryFailure> failure;
  approval.details.keys.reset();
  if (!approval.id.empty() && !is_valid_device_id(approval.id)) {
    failure =
        RegistryFailure{RegistryError::invalid_id, "this cannot be the id of a device", "/id"};
  } else {
    failure = check_patch(approval.details);
  }
  if (!failure) {
    const std::unique_lock lock{mutex_};
    const auto entry = devices_.find(id);
    const DevicePointer pending = entry == devices_.end() ? nullptr : entry->second.visible;
    failure = refuse_answer(id, pending, approval.fingerprint, change);
    if (!failure) {
      auto device = std::make_shared<Device>();
      device->id = approval.id.empty() ? pending->id : approval.id;
      device->created = change.now;
      device->changed = change.now;
      device->keys = pending->keys;
      apply_patch(approval.details, change.now, *device);
      failure = check_device(*device);
      if (!failure) {
        failure = refuse_create(*device);
      }
      if (!failure) {
        create_locked(std::move(device), change, "device.approve", done);
        return;
      }
    }
  }
  done(std::move(*failure));
}

/// What speaks against a yes or no to `pending`, which may be null. Under the lock.
std::optional<RegistryFailure> DeviceRegistry::refuse_answer(std::string_view id,
                                                             const DevicePointer& pending,
                                                             std::string_view fingerprint,
                                                             const ChangeRequest& change) {
  if (!pending) {
    return RegistryFailure{RegistryError::not_found,
                           is_valid_device_id(id) ? "there is no device " + std::string{id}
                                                  : std::string{"there is no device of this id"},
                           {}};
  }
  if (pending->state != DeviceState::pending) {
    return RegistryFailure{
        RegistryError::invalid_state,
        "device " + pending->id + " is " + std::string{name_of(pending->state)} + ", not pending",
        {}};
  }
  if (change.expected && (change.expected->revision != pending->revision ||
                          change.expected->created != pending->created)) {
    return RegistryFailure{RegistryError::revision_mismatch,
                           "device " + pending->id + " has been changed meanwhile",
                           {}};
  }
  if (pending->key(fingerprint) == nullptr) {
    return RegistryFailure{RegistryError::fingerprint_mismatch,
                           "this is not the fingerprint of the key that waits; compare again with "
                           "what the device shows",
                           "/fingerprint"};
  }
  return std::nullopt;
}

void DeviceRegistry::remember_rejection(std::string_view fingerprint, WallTime now,
                                        storage::Batch& batch) {
  using storage::Family;
  while (rejected_.size() >= rejected_keys_max) {
    const auto oldest =
        std::min_element(rejected_.begin(), rejected_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    batch.erase(Family::registry, rejection_record_key(oldest->first));
    rejected_.erase(oldest);
  }
  rejected_[std::string{fingerprint}] = now;
  batch.put(Family::registry, rejection_record_key(fingerprint), encode_rejection(now));
}

void DeviceRegistry::reject(std::string_view id, std::string_view fingerprint, ChangeRequest change,
                            Done done) {
  DevicePointer device;
  std::optional<RegistryFailure> failure;
  {
    const std::unique_lock lock{mutex_};
    const auto entry = devices_.find(id);
    failure = refuse_answer(id, entry == devices_.end() ? nullptr : entry->second.visible,
                            fingerprint, change);
    if (!failure) {
      failure = begin_removal(id, change, device);
    }
    if (!failure) {
      remember_rejection(fingerprint, change.now, change.also);
      submit_removal(device, {"device.reject", {}, nullptr}, change, std::move(done));
    }
  }
  if (failure) {
    done(std::move(*failure));
    return;
  }
  tell(*device, Change::erased);
}

void DeviceRegistry::expire_pending(WallTime now) {
  std::vector<std::string> ids;
  {
    const std::shared_lock lock{mutex_};
    for (const auto& [time, id] : pending_) {
      if (now - time < pending_life) {
        break;
      }
      ids.push_back(id);
    }
  }
  const auto still_pending = [](Device& device) -> Result<bool, RegistryFailure> {
    if (device.state != DeviceState::pending) {
      return RegistryFailure{RegistryError::invalid_state, "it has just been approved", {}};
    }
    return true;
  };
  for (const std::string& id : ids) {
    ChangeRequest change;
    change.now = now;
    change.actor = {"system", {}};
    remove(id, std::move(change), {"device.expire", {}, still_pending}, [](RegistryOutcome) {});
  }
}

}  // namespace skerry::auth
