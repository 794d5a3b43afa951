// What the registry knows: loading and questions. How it changes is in the registry_*.cpp beside.
#include "auth/registry.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "auth/attempt_limiter.hpp"
#include "auth/registry_record.hpp"
#include "base/assert.hpp"
#include "base/limits.hpp"

namespace skerry::auth {

namespace {

constexpr std::size_t list_limit_max = 1000;
constexpr std::size_t list_visits_max = 10'000;

unsigned digit_of(char hex) noexcept {
  return static_cast<unsigned>(hex <= '9' ? hex - '0' : hex - 'a' + 10);
}

}  // namespace

void throw_exception_from_error(const RegistryFailure&, const boost::source_location& where) {
  assertion_failed("value of a failed registry outcome", where.file_name(),
                   static_cast<int>(where.line()));
}

DeviceRegistry::DeviceRegistry(plugin::AuditLog& audit) : audit_(audit) {}

void DeviceRegistry::on_change(ChangeHook hook) {
  hooks_.push_back(std::move(hook));
}

void DeviceRegistry::on_rights_change(RightsHook hook) {
  rights_hooks_.push_back(std::move(hook));
}

void DeviceRegistry::tell_rights(const std::string& id, bool caller_judges_sessions) const {
  for (const RightsHook& hook : rights_hooks_) {
    if (!caller_judges_sessions) {
      hook(id);
    }
  }
}

void DeviceRegistry::tell_events(plugin::EventSink& events) {
  events_ = &events;
}

void DeviceRegistry::tell(const Device& device, Change change) const {
  for (const ChangeHook& hook : hooks_) {
    hook(device, change);
  }
}

DeviceRegistry::KeyHash DeviceRegistry::key_hash(std::string_view fingerprint) noexcept {
  KeyHash hash{};
  for (std::size_t index = 0; index < hash.size(); ++index) {
    hash[index] = static_cast<unsigned char>((digit_of(fingerprint[2 * index]) << 4) |
                                             digit_of(fingerprint[2 * index + 1]));
  }
  return hash;
}

std::size_t DeviceRegistry::KeyHashHash::operator()(const KeyHash& hash) const noexcept {
  // Hashed again: whoever registers keys chooses their bytes.
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(hash.data()), hash.size()});
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
  revoked_prune_at_ = std::max<std::size_t>(1024, revoked_.size() * 2);
  return loaded;
}

void DeviceRegistry::load_entry(std::string_view key, std::string_view value, Loaded& loaded) {
  if (const auto serial = serial_of_record_key(key)) {
    std::optional<Revocation> revocation = decode_revocation(value);
    loaded.damaged += revocation ? 0 : 1;
    // A serial whose record is damaged stays revoked for good: the safe side.
    revoked_[std::string{*serial}] =
        revocation ? std::move(*revocation) : Revocation{WallTime::max(), {}, {}, {}};
    return;
  }
  if (const auto fingerprint = fingerprint_of_record_key(key)) {
    const std::optional<WallTime> time = decode_rejection(value);
    loaded.damaged += time ? 0 : 1;
    if (time) {
      rejected_[std::string{*fingerprint}] = *time;
    }
    return;
  }
  const auto id = device_of_record_key(key);
  std::optional<Device> device = id ? decode_device(*id, value) : std::nullopt;
  if (!device) {
    ++loaded.damaged;
    return;
  }
  const auto pointer = std::make_shared<const Device>(std::move(*device));
  for (const DeviceKey& device_key : pointer->keys) {
    ids_by_key_.emplace(key_hash(device_key.fingerprint), pointer->id);
  }
  index_details(*pointer);
  // Records come sorted by id: the end is the place.
  devices_.emplace_hint(devices_.end(), pointer->id, Entry{pointer, pointer});
  ++loaded.devices;
}

/// Everything that is found otherwise than by id and key.
void DeviceRegistry::index_details(const Device& device) {
  for (const DeviceKey& key : device.keys) {
    for (const DeviceCertificate& certificate : key.certificates) {
      ids_by_serial_.emplace(TextHash{}(certificate.serial), device.id);
    }
  }
  if (device.state == DeviceState::pending && device.request &&
      pending_.emplace(device.request->time, device.id).second) {
    ++pending_by_address_[address_group(device.request->address)];
  }
}

void DeviceRegistry::unindex_details(const Device& device) {
  for (const DeviceKey& key : device.keys) {
    for (const DeviceCertificate& certificate : key.certificates) {
      const auto [begin, end] = ids_by_serial_.equal_range(TextHash{}(certificate.serial));
      const auto at =
          std::find_if(begin, end, [&](const auto& entry) { return entry.second == device.id; });
      if (at != end) {
        ids_by_serial_.erase(at);
      }
    }
  }
  if (device.request && pending_.erase({device.request->time, device.id}) > 0) {
    const auto address = pending_by_address_.find(address_group(device.request->address));
    if (address != pending_by_address_.end() && --address->second == 0) {
      pending_by_address_.erase(address);
    }
  }
}

const std::string* DeviceRegistry::indexed_owner(std::string_view fingerprint) const {
  const auto at = ids_by_key_.find(key_hash(fingerprint));
  return at == ids_by_key_.end() ? nullptr : &at->second;
}

DevicePointer DeviceRegistry::find(std::string_view id) const {
  const std::shared_lock lock{mutex_};
  const auto entry = devices_.find(id);
  return entry == devices_.end() ? nullptr : entry->second.visible;
}

DevicePointer DeviceRegistry::find_by_fingerprint(std::string_view fingerprint) const {
  if (!is_valid_fingerprint(fingerprint)) {
    return nullptr;
  }
  const std::shared_lock lock{mutex_};
  const std::string* id = indexed_owner(fingerprint);
  const auto entry = id == nullptr ? devices_.end() : devices_.find(*id);
  const bool has_key = entry != devices_.end() && entry->second.visible &&
                       entry->second.visible->key(fingerprint) != nullptr;
  return has_key ? entry->second.visible : nullptr;
}

DevicePointer DeviceRegistry::find_by_serial(std::string_view serial) const {
  const std::shared_lock lock{mutex_};
  const auto [begin, end] = ids_by_serial_.equal_range(TextHash{}(serial));
  for (auto candidate = begin; candidate != end; ++candidate) {
    const auto entry = devices_.find(candidate->second);
    if (entry == devices_.end() || !entry->second.visible) {
      continue;
    }
    for (const DeviceKey& key : entry->second.visible->keys) {
      if (std::any_of(key.certificates.begin(), key.certificates.end(),
                      [serial](const auto& each) { return each.serial == serial; })) {
        return entry->second.visible;
      }
    }
  }
  return nullptr;
}

DevicePage DeviceRegistry::list(std::string_view after, std::size_t limit,
                                std::optional<DeviceState> state) const {
  const std::size_t count_max = std::clamp<std::size_t>(limit, 1, list_limit_max);
  DevicePage page;
  std::size_t visits = 0;
  const std::shared_lock lock{mutex_};
  for (auto entry = devices_.upper_bound(after); entry != devices_.end(); ++entry) {
    if (page.devices.size() == count_max || visits++ == list_visits_max) {
      page.more = true;
      break;
    }
    page.last = entry->first;
    if (entry->second.visible && (!state || entry->second.visible->state == *state)) {
      page.devices.push_back(entry->second.visible);
    }
  }
  return page;
}

std::size_t DeviceRegistry::size() const {
  const std::shared_lock lock{mutex_};
  return devices_.size();
}

std::size_t DeviceRegistry::pending_count() const {
  const std::shared_lock lock{mutex_};
  return pending_.size();
}

bool DeviceRegistry::is_revoked(std::string_view serial) const {
  const std::shared_lock lock{mutex_};
  return revoked_.find(serial) != revoked_.end();
}

std::optional<Revocation> DeviceRegistry::revocation(std::string_view serial) const {
  const std::shared_lock lock{mutex_};
  const auto at = revoked_.find(serial);
  return at == revoked_.end() ? std::nullopt : std::optional{at->second};
}

std::vector<RevokedCertificate> DeviceRegistry::revocations(WallTime since) const {
  std::vector<RevokedCertificate> found;
  const std::shared_lock lock{mutex_};
  found.reserve(revoked_.size());
  for (const auto& [serial, revocation] : revoked_) {
    if (revocation.not_after > since) {
      found.push_back({serial, revocation});
    }
  }
  return found;
}

std::vector<RevokedCertificate> DeviceRegistry::revocations_of(std::string_view id) const {
  std::vector<RevokedCertificate> found;
  const std::shared_lock lock{mutex_};
  for (const auto& [serial, revocation] : revoked_) {
    if (revocation.device == id) {
      found.push_back({serial, revocation});
    }
  }
  return found;
}

}  // namespace skerry::auth
