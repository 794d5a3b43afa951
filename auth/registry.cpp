#include "auth/registry.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "auth/registry_record.hpp"
#include "base/assert.hpp"
#include "base/limits.hpp"

namespace skerry::auth {

namespace {

constexpr std::size_t device_id_bytes_max = 64;
constexpr std::size_t list_limit_max = 1000;

bool is_letter_or_digit(char character) noexcept {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9');
}

RegistryFailure storage_failure(const storage::Status& status) {
  return {RegistryError::storage, "the change could not be stored: " + status.detail};
}

RegistryFailure no_such_device(std::string_view id) {
  return {RegistryError::not_found, "there is no device " + std::string{id}};
}

/// Adds the certificate to its key; drops what has expired, then the oldest above the cap.
void add_certificate(DeviceKey& key, DeviceCertificate certificate, WallTime now) {
  std::erase_if(key.certificates, [now](const auto& old) { return old.not_after <= now; });
  key.certificates.push_back(std::move(certificate));
  if (key.certificates.size() > certificates_per_key_max) {
    key.certificates.erase(key.certificates.begin());
  }
}

}  // namespace

bool is_valid_device_id(std::string_view id) noexcept {
  if (id.empty() || id.size() > device_id_bytes_max || !is_letter_or_digit(id.front()) ||
      id == "sub" || id == "pub" || id == "health") {
    return false;
  }
  return std::all_of(id.begin(), id.end(), [](char character) {
    return is_letter_or_digit(character) || character == '.' || character == '_' ||
           character == '~' || character == '-';
  });
}

bool is_valid_fingerprint(std::string_view fingerprint) noexcept {
  return fingerprint.size() == 64 &&
         std::all_of(fingerprint.begin(), fingerprint.end(), [](char character) {
           return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
         });
}

std::string_view name_of(DeviceState state) noexcept {
  switch (state) {
    case DeviceState::preauthorised:
      return "preauthorised";
    case DeviceState::enrolled:
      return "enrolled";
    case DeviceState::pending:
      return "pending";
    case DeviceState::suspended:
      return "suspended";
    case DeviceState::retired:
      return "retired";
  }
  return "unknown";
}

void throw_exception_from_error(const RegistryFailure&, const boost::source_location& where) {
  assertion_failed("value of a failed registry outcome", where.file_name(),
                   static_cast<int>(where.line()));
}

const DeviceKey* Device::key(std::string_view fingerprint) const noexcept {
  const auto at = std::find_if(keys.begin(), keys.end(), [fingerprint](const DeviceKey& key) {
    return key.fingerprint == fingerprint;
  });
  return at == keys.end() ? nullptr : &*at;
}

DeviceRegistry::DeviceRegistry(storage::Committer& committer) : committer_(committer) {}

void DeviceRegistry::on_change(ChangeHook hook) {
  hooks_.push_back(std::move(hook));
}

void DeviceRegistry::tell(const Device& device, Change change) const {
  for (const ChangeHook& hook : hooks_) {
    hook(device, change);
  }
}

DeviceRegistry::Loaded DeviceRegistry::load(const storage::KvStore& store) {
  Loaded loaded;
  const auto records = store.scan(storage::Family::registry, {});
  if (!records) {
    loaded.status = {storage::StatusCode::closed, "the store is closed"};
    return loaded;
  }
  const std::unique_lock lock{mutex_};
  for (records->seek_first(); records->valid(); records->next()) {
    load_entry(records->key(), records->value(), loaded);
  }
  loaded.status = records->status();
  return loaded;
}

void DeviceRegistry::load_entry(std::string_view key, std::string_view value, Loaded& loaded) {
  if (const auto serial = serial_of_record_key(key)) {
    const std::optional<Revocation> revocation = decode_revocation(value);
    loaded.damaged += revocation ? 0 : 1;
    // A serial whose record is damaged stays revoked for good: the safe side.
    revoked_[std::string{*serial}] = revocation ? revocation->not_after : WallTime::max();
    return;
  }
  const auto id = device_of_record_key(key);
  std::optional<Device> device = id ? decode_device(*id, value) : std::nullopt;
  if (!device) {
    ++loaded.damaged;
    return;
  }
  for (const DeviceKey& device_key : device->keys) {
    ids_by_fingerprint_.emplace(device_key.fingerprint, device->id);
  }
  const auto pointer = std::make_shared<const Device>(std::move(*device));
  devices_.insert_or_assign(pointer->id, Entry{pointer, pointer});
  ++loaded.devices;
}

std::optional<RegistryFailure> DeviceRegistry::refuse_create(const NewDevice& device) const {
  if (devices_.contains(device.id)) {
    return RegistryFailure{RegistryError::exists, "there is a device " + device.id + " already"};
  }
  if (removals_.contains(device.id)) {
    return RegistryFailure{RegistryError::exists, "the removal of device " + device.id +
                                                      " has not been stored yet; try again"};
  }
  for (const std::string& fingerprint : device.fingerprints) {
    const auto owner = ids_by_fingerprint_.find(fingerprint);
    if (owner != ids_by_fingerprint_.end()) {
      return RegistryFailure{RegistryError::key_taken,
                             "the key " + fingerprint + " belongs to device " + owner->second};
    }
  }
  if (devices_.size() >= devices_max) {
    return RegistryFailure{RegistryError::limit, "the registry is full"};
  }
  return std::nullopt;
}

namespace {

/// What is wrong with the request itself, whatever is registered.
std::optional<RegistryFailure> check_new_device(const NewDevice& device) {
  if (!is_valid_device_id(device.id)) {
    return RegistryFailure{
        RegistryError::invalid_id,
        "a device id has 1 to 64 characters, a letter or digit and then letters, digits, '.', '_', "
        "'~' or '-', and is not 'sub', 'pub' or 'health'"};
  }
  if (device.fingerprints.empty() || device.fingerprints.size() > keys_per_device_max) {
    return RegistryFailure{RegistryError::invalid_fingerprint, "a device has 1 to 8 keys"};
  }
  for (std::size_t index = 0; index < device.fingerprints.size(); ++index) {
    if (!is_valid_fingerprint(device.fingerprints[index])) {
      return RegistryFailure{
          RegistryError::invalid_fingerprint,
          "a key fingerprint is the SHA-256 of the public key (SubjectPublicKeyInfo in DER) in 64 "
          "lower-case hexadecimal digits"};
    }
    const auto begin = device.fingerprints.begin();
    const auto here = begin + static_cast<std::ptrdiff_t>(index);
    if (std::find(begin, here, *here) != here) {
      return RegistryFailure{RegistryError::invalid_fingerprint, "a key is named twice"};
    }
  }
  return std::nullopt;
}

DevicePointer make_device(NewDevice& request, WallTime now) {
  auto device = std::make_shared<Device>();
  device->id = std::move(request.id);
  device->created = now;
  device->changed = now;
  for (std::string& fingerprint : request.fingerprints) {
    device->keys.push_back({std::move(fingerprint), now, {}});
  }
  return device;
}

}  // namespace

void DeviceRegistry::create(NewDevice request, WallTime now, Done done) {
  std::optional<RegistryFailure> failure = check_new_device(request);
  if (!failure) {
    const std::unique_lock lock{mutex_};
    failure = refuse_create(request);
    if (!failure) {
      const DevicePointer device = make_device(request, now);
      devices_.emplace(device->id, Entry{nullptr, device});
      for (const DeviceKey& key : device->keys) {
        ids_by_fingerprint_.emplace(key.fingerprint, device->id);
      }
      storage::Batch batch;
      batch.put(storage::Family::registry, device_record_key(device->id), encode_device(*device));
      // Submitted under the lock, so that changes are stored in the order in which they were made.
      committer_.submit(std::move(batch),
                        [this, device, done = std::move(done)](const storage::Status& status) {
                          finish_create(device, status, done);
                        });
      return;
    }
  }
  done(std::move(*failure));
}

void DeviceRegistry::finish_create(const DevicePointer& device, const storage::Status& status,
                                   const Done& done) {
  {
    const std::unique_lock lock{mutex_};
    if (status.ok()) {
      devices_.find(device->id)->second.visible = device;
    } else {
      devices_.erase(device->id);
      for (const DeviceKey& key : device->keys) {
        ids_by_fingerprint_.erase(key.fingerprint);
      }
    }
  }
  if (!status.ok()) {
    done(storage_failure(status));
    return;
  }
  tell(*device, Change::created);
  done(device);
}

std::optional<RegistryFailure> DeviceRegistry::begin_removal(std::string_view id,
                                                             std::optional<std::uint64_t> revision,
                                                             DevicePointer& device) {
  const auto removal = removals_.find(id);
  if (removal != removals_.end() && removal->second.failed) {
    removal->second.failed = false;
    device = removal->second.device;
    return std::nullopt;
  }
  const auto entry = devices_.find(id);
  if (entry == devices_.end() || !entry->second.visible) {
    return no_such_device(id);
  }
  device = entry->second.newest;  // it may hold the serial of a certificate that is being recorded
  if (revision && *revision != device->revision) {
    return RegistryFailure{RegistryError::revision_mismatch,
                           "device " + device->id + " has been changed meanwhile"};
  }
  removals_.emplace(device->id, Removal{device, false});
  devices_.erase(entry);
  return std::nullopt;
}

void DeviceRegistry::submit_removal(const DevicePointer& device, WallTime now, Done done) {
  storage::Batch batch;
  batch.erase(storage::Family::registry, device_record_key(device->id));
  for (const DeviceKey& key : device->keys) {
    for (const DeviceCertificate& certificate : key.certificates) {
      if (certificate.not_after <= now) {
        continue;
      }
      revoked_[certificate.serial] = certificate.not_after;
      batch.put(storage::Family::registry, revocation_record_key(certificate.serial),
                encode_revocation({certificate.not_after, now, device->id}));
    }
  }
  if (revoked_.size() >= revoked_prune_at_) {
    prune_revocations(now, batch);
  }
  committer_.submit(std::move(batch),
                    [this, device, done = std::move(done)](const storage::Status& status) {
                      finish_erase(device, status, done);
                    });
}

void DeviceRegistry::prune_revocations(WallTime now, storage::Batch& batch) {
  for (auto entry = revoked_.begin(); entry != revoked_.end();) {
    if (entry->second > now) {
      ++entry;
      continue;
    }
    batch.erase(storage::Family::registry, revocation_record_key(entry->first));
    entry = revoked_.erase(entry);
  }
  revoked_prune_at_ = std::max<std::size_t>(1024, revoked_.size() * 2);
}

void DeviceRegistry::erase(std::string_view id, std::optional<std::uint64_t> revision, WallTime now,
                           Done done) {
  DevicePointer device;
  std::optional<RegistryFailure> failure;
  {
    const std::unique_lock lock{mutex_};
    failure = begin_removal(id, revision, device);
    if (!failure) {
      submit_removal(device, now, std::move(done));
    }
  }
  if (failure) {
    done(std::move(*failure));
    return;
  }
  tell(*device, Change::erased);
}

void DeviceRegistry::finish_erase(const DevicePointer& device, const storage::Status& status,
                                  const Done& done) {
  {
    const std::unique_lock lock{mutex_};
    if (status.ok()) {
      removals_.erase(device->id);
      for (const DeviceKey& key : device->keys) {
        ids_by_fingerprint_.erase(key.fingerprint);
      }
    } else {
      removals_.find(device->id)->second.failed = true;
    }
  }
  if (!status.ok()) {
    done(storage_failure(status));
    return;
  }
  tell(*device, Change::erased);
  done(device);
}

void DeviceRegistry::record_certificate(std::string_view id, std::string_view fingerprint,
                                        DeviceCertificate certificate, WallTime now, Done done) {
  std::optional<RegistryFailure> failure;
  {
    const std::unique_lock lock{mutex_};
    const auto entry = devices_.find(id);
    const bool exists = entry != devices_.end() && entry->second.visible;
    if (exists && entry->second.newest->key(fingerprint) != nullptr) {
      auto device = std::make_shared<Device>(*entry->second.newest);
      const auto key =
          std::find_if(device->keys.begin(), device->keys.end(),
                       [&](const DeviceKey& each) { return each.fingerprint == fingerprint; });
      add_certificate(*key, std::move(certificate), now);
      if (device->state == DeviceState::preauthorised) {
        device->state = DeviceState::enrolled;
      }
      device->changed = now;
      ++device->revision;
      entry->second.newest = device;
      storage::Batch batch;
      batch.put(storage::Family::registry, device_record_key(device->id), encode_device(*device));
      committer_.submit(std::move(batch),
                        [this, device, done = std::move(done)](const storage::Status& status) {
                          finish_update(device, status, done);
                        });
      return;
    }
    failure = exists ? RegistryFailure{RegistryError::key_not_found,
                                       "device " + std::string{id} + " has no such key"}
                     : no_such_device(id);
  }
  done(std::move(*failure));
}

void DeviceRegistry::finish_update(const DevicePointer& device, const storage::Status& status,
                                   const Done& done) {
  bool exists = false;
  {
    const std::unique_lock lock{mutex_};
    const auto entry = devices_.find(device->id);
    exists = entry != devices_.end();
    if (exists && status.ok()) {
      entry->second.visible = device;  // completions come in the order of the submissions
    } else if (exists && entry->second.newest == device) {
      entry->second.newest = entry->second.visible;
    }
  }
  if (!status.ok()) {
    done(storage_failure(status));
    return;
  }
  if (!exists) {
    done(no_such_device(device->id));
    return;
  }
  tell(*device, Change::updated);
  done(device);
}

DevicePointer DeviceRegistry::find(std::string_view id) const {
  const std::shared_lock lock{mutex_};
  const auto entry = devices_.find(id);
  return entry == devices_.end() ? nullptr : entry->second.visible;
}

DevicePointer DeviceRegistry::find_by_fingerprint(std::string_view fingerprint) const {
  const std::shared_lock lock{mutex_};
  const auto id = ids_by_fingerprint_.find(fingerprint);
  if (id == ids_by_fingerprint_.end()) {
    return nullptr;
  }
  const auto entry = devices_.find(id->second);
  return entry == devices_.end() ? nullptr : entry->second.visible;
}

DevicePage DeviceRegistry::list(std::string_view after, std::size_t limit) const {
  const std::size_t count_max = std::clamp<std::size_t>(limit, 1, list_limit_max);
  DevicePage page;
  const std::shared_lock lock{mutex_};
  for (auto entry = devices_.upper_bound(after); entry != devices_.end(); ++entry) {
    if (!entry->second.visible) {
      continue;
    }
    if (page.devices.size() == count_max) {
      page.more = true;
      break;
    }
    page.devices.push_back(entry->second.visible);
  }
  return page;
}

std::size_t DeviceRegistry::size() const {
  const std::shared_lock lock{mutex_};
  return devices_.size();
}

bool DeviceRegistry::is_revoked(std::string_view serial) const {
  const std::shared_lock lock{mutex_};
  return revoked_.find(serial) != revoked_.end();
}

}  // namespace skerry::auth
