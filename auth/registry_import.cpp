// Import: many devices by one commit, and the same judged without any change. Both run the same
// plan over a view of the registry, so that a dry run says what the real one will do.
#include <algorithm>
#include <mutex>
#include <utility>

#include "auth/registry.hpp"
#include "auth/registry_record.hpp"
#include "base/limits.hpp"

namespace skerry::auth {

using Kind = ImportResult::Kind;

/// What a row is judged against: the registry with everything that is under way.
struct DeviceRegistry::ImportView {
  virtual ~ImportView() = default;
  virtual DevicePointer newest(const std::string& id) const = 0;
  /// As refuse_create() and refuse_keys().
  virtual std::optional<RegistryFailure> refuse(const Device& device, bool is_new) const = 0;
  virtual void put(DevicePointer before, std::shared_ptr<Device> after) = 0;
};

/// The registry itself. Used under its lock.
struct DeviceRegistry::LiveView final : ImportView {
  LiveView(DeviceRegistry& owner, storage::Batch& target) : registry(owner), batch(target) {}

  DevicePointer newest(const std::string& id) const override {
    const auto entry = registry.devices_.find(id);
    return entry == registry.devices_.end() ? nullptr : entry->second.newest;
  }
  std::optional<RegistryFailure> refuse(const Device& device, bool is_new) const override {
    return is_new ? registry.refuse_create(device) : registry.refuse_keys(device);
  }
  void put(DevicePointer before, std::shared_ptr<Device> after) override {
    staged.push_back(registry.stage(std::move(before), std::move(after),
                                    RevocationReason::cessation_of_operation, batch));
  }

  DeviceRegistry& registry;
  storage::Batch& batch;
  std::vector<Staged> staged;
};

/// Devices as records, since a dry run remembers all of them.
struct ImportOverlay::State {
  std::unordered_map<std::string, std::string> records;  ///< empty: given way or taken apart
  std::unordered_map<DeviceRegistry::KeyHash, std::string, DeviceRegistry::KeyHashHash>
      owners;  ///< empty: free by now
  std::size_t added = 0;
};

ImportOverlay::ImportOverlay() : state_(std::make_unique<State>()) {}
ImportOverlay::~ImportOverlay() = default;

/// The registry, which is only read, with an overlay on it. Used under the lock.
struct DeviceRegistry::OverlayView final : ImportView {
  OverlayView(const DeviceRegistry& owner, ImportOverlay::State& changes)
      : registry(owner), overlay(changes) {}

  DevicePointer newest(const std::string& id) const override {
    const auto at = overlay.records.find(id);
    if (at == overlay.records.end()) {
      const auto entry = registry.devices_.find(id);
      return entry == registry.devices_.end() ? nullptr : entry->second.newest;
    }
    std::optional<Device> device = decode_device(id, at->second);
    return device ? std::make_shared<const Device>(std::move(*device)) : nullptr;
  }

  DevicePointer owner_of(const std::string& fingerprint) const {
    const auto at = overlay.owners.find(key_hash(fingerprint));
    if (at == overlay.owners.end()) {
      return registry.key_owner(fingerprint);
    }
    return at->second.empty() ? nullptr : newest(at->second);
  }

  std::optional<RegistryFailure> refuse(const Device& device, bool is_new) const override {
    const DevicePointer holder = newest(device.id);
    if (is_new && !holder && registry.removals_.contains(device.id)) {
      return registry.refuse_create(device);
    }
    for (const DeviceKey& key : device.keys) {
      const DevicePointer owner = owner_of(key.fingerprint);
      if (owner && owner->id != device.id && owner->state != DeviceState::pending) {
        return RegistryFailure{RegistryError::key_taken,
                               "the key " + key.fingerprint + " belongs to device " + owner->id,
                               "/keys"};
      }
    }
    if (is_new && registry.devices_.size() + overlay.added >= devices_max) {
      return RegistryFailure{RegistryError::limit, "the registry is full", {}};
    }
    return std::nullopt;
  }

  void put(DevicePointer before, std::shared_ptr<Device> after) override {
    if (before) {
      for (const DeviceKey& key : before->keys) {
        overlay.owners[key_hash(key.fingerprint)].clear();
      }
    } else {
      ++overlay.added;
    }
    for (const DeviceKey& key : after->keys) {
      const DevicePointer owner = owner_of(key.fingerprint);
      if (owner && owner->id != after->id) {
        overlay.records[owner->id].clear();  // it was pending
        --overlay.added;
      }
      overlay.owners[key_hash(key.fingerprint)] = after->id;
    }
    overlay.records[after->id] = encode_device(*after);
  }

  const DeviceRegistry& registry;
  ImportOverlay::State& overlay;
};

namespace {

ImportResult failed(RegistryFailure failure) {
  return {Kind::failed, std::move(failure)};
}

DeviceState state_of_import(DeviceState wished) noexcept {
  return wished == DeviceState::suspended || wished == DeviceState::retired
             ? wished
             : DeviceState::preauthorised;
}

}  // namespace

/// Judges one row and, when it changes something, puts the device into the view.
ImportResult DeviceRegistry::plan_row(ImportView& view, const ImportRow& row,
                                      ImportConflict conflict, WallTime now) {
  if (!is_valid_device_id(row.id)) {
    return failed({RegistryError::invalid_id, "this cannot be the id of a device", "/id"});
  }
  if (auto failure = check_patch(row.patch)) {
    return failed(std::move(*failure));
  }
  DevicePointer before = view.newest(row.id);
  const bool is_new = !before || before->state == DeviceState::pending;
  if (!is_new && conflict == ImportConflict::fail) {
    return failed({RegistryError::exists, "there is a device " + row.id + " already", "/id"});
  }
  if (!is_new && conflict == ImportConflict::skip) {
    return {Kind::unchanged, {}};
  }
  auto device = is_new ? std::make_shared<Device>() : std::make_shared<Device>(*before);
  device->id = row.id;
  if (device->state == DeviceState::retired && changes_keys(row.patch, now, *device)) {
    return failed({RegistryError::invalid_state,
                   "device " + row.id + " is retired: its keys are final", "/keys"});
  }
  const bool changed = apply_patch(row.patch, now, *device);
  if (!is_new && !changed) {
    return {Kind::unchanged, {}};
  }
  if (auto failure = check_device(*device)) {
    return failed(std::move(*failure));
  }
  if (auto failure = view.refuse(*device, is_new)) {
    return failed(std::move(*failure));
  }
  if (is_new) {
    device->created = now;
    device->state = state_of_import(row.state);
  } else {
    ++device->revision;
  }
  device->changed = now;
  view.put(std::move(before), std::move(device));
  return {is_new ? Kind::created : Kind::updated, {}};
}

std::vector<ImportResult> DeviceRegistry::import_dry_run(const std::vector<ImportRow>& rows,
                                                         ImportConflict conflict, WallTime now,
                                                         ImportOverlay& overlay) const {
  std::vector<ImportResult> results;
  results.reserve(rows.size());
  const std::shared_lock lock{mutex_};
  OverlayView view{*this, *overlay.state_};
  for (const ImportRow& row : rows) {
    results.push_back(plan_row(view, row, conflict, now));
  }
  return results;
}

void DeviceRegistry::import(std::vector<ImportRow> rows, ImportConflict conflict,
                            ChangeRequest change, ImportDone done) {
  std::vector<ImportResult> results;
  results.reserve(rows.size());
  {
    const std::unique_lock lock{mutex_};
    storage::Batch batch;
    LiveView view{*this, batch};
    for (const ImportRow& row : rows) {
      results.push_back(plan_row(view, row, conflict, change.now));
    }
    if (!view.staged.empty()) {
      batch.append(change.also);
      plugin::AuditEvent event;
      event.actor = change.actor.name;
      event.address = change.actor.address;
      event.action = "devices.import";
      event.object = "devices";
      event.outcome = "ok";
      event.detail = describe_import(view.staged);
      auto finished = [this, staged = std::move(view.staged), results = std::move(results),
                       done = std::move(done),
                       now = change.now](const storage::Status& status) mutable {
        finish_import(staged, status, now);
        if (!status.ok()) {
          for (ImportResult& result : results) {
            if (result.kind == Kind::created || result.kind == Kind::updated) {
              result = failed(
                  {RegistryError::storage, "the change could not be stored: " + status.detail, {}});
            }
          }
        }
        done(std::move(results));
      };
      audit_.submit(std::move(batch), std::move(event), std::move(finished));
      return;
    }
  }
  done(std::move(results));
}

std::string DeviceRegistry::describe_import(const std::vector<Staged>& staged) {
  constexpr std::size_t ids_bytes_max = audit_detail_bytes_max - 256;
  std::size_t created = 0;
  std::size_t left_out = 0;
  std::string ids;
  for (const Staged& each : staged) {
    created += each.before ? 0 : 1;
    if (ids.size() + each.after->id.size() + 3 > ids_bytes_max) {
      ++left_out;
      continue;
    }
    ids += (ids.empty() ? "\"" : ",\"") + each.after->id + "\"";
  }
  return R"({"created":)" + std::to_string(created) + R"(,"updated":)" +
         std::to_string(staged.size() - created) + R"(,"leftOut":)" + std::to_string(left_out) +
         R"(,"devices":[)" + ids + "]}";
}

void DeviceRegistry::finish_import(const std::vector<Staged>& staged, const storage::Status& status,
                                   WallTime now) {
  {
    const std::unique_lock lock{mutex_};
    for (const Staged& each : staged) {
      settle(each, status.ok());
    }
  }
  if (status.ok()) {
    for (const Staged& each : staged) {
      announce(each, each.before ? "device.update" : "device.create", now);
    }
  }
}

}  // namespace skerry::auth
