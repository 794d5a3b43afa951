// DeviceRegistry: which devices exist, by which keys they are known and which certificates they
// were given. Everything is in memory for the asking (cores ask at each CONNECT) and in
// Family::registry for good; what it deliberately does not do is judge certificates or talk to
// anybody.
//
//   preauthorised ──record_certificate──▶ enrolled ──erase──▶ gone, its serials revoked
#pragma once

#include <boost/assert/source_location.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/now.hpp"
#include "base/result.hpp"
#include "storage/committer.hpp"
#include "storage/kv_store.hpp"

namespace skerry::auth {

/// `[A-Za-z0-9][A-Za-z0-9._~-]{0,63}`, but not `sub`, `pub` or `health`. Such an id is safe as a
/// topic level, in a URI, a file name and a log line.
bool is_valid_device_id(std::string_view id) noexcept;

/// 64 lower-case hexadecimal digits: SHA-256 of a SubjectPublicKeyInfo in DER.
bool is_valid_fingerprint(std::string_view fingerprint) noexcept;

/// The numbers are on disk: append, never reorder.
enum class DeviceState : std::uint8_t {
  preauthorised = 1,  ///< registered, no certificate yet
  enrolled = 2,       ///< has been given a certificate
  pending = 3,        ///< wants in, waits for a human (not used yet)
  suspended = 4,      ///< locked out for a time (not used yet)
  retired = 5,        ///< locked out for good (not used yet)
};

/// "preauthorised", "enrolled", … as in the REST resource.
std::string_view name_of(DeviceState state) noexcept;

struct DeviceCertificate {
  std::string serial;  ///< lower-case hex
  WallTime not_after{};
};

struct DeviceKey {
  std::string fingerprint;  ///< see is_valid_fingerprint()
  WallTime added{};
  /// Issued for this key and not expired when the last one was added, oldest first; at most
  /// certificates_per_key_max, older ones are superseded and refused.
  std::vector<DeviceCertificate> certificates;
};

struct Device {
  std::string id;
  DeviceState state = DeviceState::preauthorised;
  WallTime created{};
  WallTime changed{};
  std::uint64_t revision = 1;  ///< grows with each change; the ETag is made of `created` and this
  std::vector<DeviceKey> keys;

  /// nullptr when the device has no such key.
  const DeviceKey* key(std::string_view fingerprint) const noexcept;
};

/// A device as it was committed; never changes, any thread may keep it.
using DevicePointer = std::shared_ptr<const Device>;

enum class RegistryError : std::uint8_t {
  invalid_id,           ///< 400
  invalid_fingerprint,  ///< 400; also: none, too many, or the same one twice
  exists,               ///< 409: the id is taken, or its removal has not been stored yet
  key_taken,            ///< 409: a key belongs to one device only
  not_found,            ///< 404
  key_not_found,        ///< 404: the device has no such key
  revision_mismatch,    ///< 412
  limit,                ///< 507: devices_max reached
  storage,              ///< 503: not stored; `what` says why
};

struct RegistryFailure {
  RegistryError code = RegistryError::storage;
  std::string what;  ///< a sentence for a human
};

[[noreturn]] void throw_exception_from_error(const RegistryFailure& failure,
                                             const boost::source_location& where);

using RegistryOutcome = Result<DevicePointer, RegistryFailure>;

struct NewDevice {
  std::string id;
  std::vector<std::string> fingerprints;  ///< 1 … keys_per_device_max
};

struct DevicePage {
  std::vector<DevicePointer> devices;  ///< sorted by id (bytes)
  bool more = false;                   ///< there are devices behind the last one
};

/// Thread-safe: readers share a lock, changes are ordered by it. Nothing here blocks on a disk but
/// load(). The committer must be destroyed (or drained) before the registry.
class DeviceRegistry {
 public:
  /// Called once: at once with an error that needs no storage, otherwise on the committer's thread
  /// when the change is durable or has failed. Must not block.
  using Done = std::function<void(RegistryOutcome)>;

  enum class Change : std::uint8_t { created, updated, erased };
  /// `erased` comes twice: when the device has vanished from memory and again when that is durable,
  /// so that a session which slipped in between is cut as well. Called without a lock held, on the
  /// thread of the change or of the committer. Must not block.
  using ChangeHook = std::function<void(const Device& device, Change change)>;

  explicit DeviceRegistry(storage::Committer& committer);
  DeviceRegistry(const DeviceRegistry&) = delete;
  DeviceRegistry& operator=(const DeviceRegistry&) = delete;

  /// Reads everything there is. Before any other call, on a thread that may block. Records that
  /// cannot be read are skipped and counted in `damaged`: their devices stay locked out.
  struct Loaded {
    storage::Status status;
    std::size_t devices = 0;
    std::size_t damaged = 0;
  };
  Loaded load(const storage::KvStore& store);

  /// Adds a hook. Before the first change; not thread-safe.
  void on_change(ChangeHook hook);

  /// Registers a device as preauthorised. It is seen by readers only once it is durable; id and
  /// keys are reserved from now on, so the second of two wins nothing. Never blocks.
  void create(NewDevice device, WallTime now, Done done);

  /// Removes a device: at once for readers, `done` when that is durable. The serials of its
  /// certificates are revoked until they expire, also for a later device of the same id and key.
  /// With `revision`: only if it still has that one. When storing failed the device stays locked
  /// out and erase may be called again. The outcome holds the device as it was. Never blocks.
  void erase(std::string_view id, std::optional<std::uint64_t> revision, WallTime now, Done done);

  /// Notes a certificate issued to `id` for its key `fingerprint`, and makes a preauthorised device
  /// enrolled. Hand the certificate out only when `done` says so: a device that was erased
  /// meanwhile ends as not_found. Never blocks.
  void record_certificate(std::string_view id, std::string_view fingerprint,
                          DeviceCertificate certificate, WallTime now, Done done);

  /// nullptr when there is none. Any thread; O(log n).
  DevicePointer find(std::string_view id) const;
  DevicePointer find_by_fingerprint(std::string_view fingerprint) const;

  /// Devices with id > `after` (empty: from the start), at most `limit` (1 … 1000). O(log n +
  /// limit).
  DevicePage list(std::string_view after, std::size_t limit) const;

  std::size_t size() const;

  /// Has this serial (lower-case hex) been revoked and not expired since? Any thread.
  bool is_revoked(std::string_view serial) const;

 private:
  struct Entry {
    DevicePointer visible;  ///< what is durable; null while the creation is under way
    DevicePointer newest;   ///< what has been handed to the committer
  };
  struct Removal {
    DevicePointer device;
    bool failed = false;  ///< storing failed: may be tried again
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  template <typename Value>
  using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

  std::optional<RegistryFailure> refuse_create(const NewDevice& device) const;
  void finish_create(const DevicePointer& device, const storage::Status& status, const Done& done);
  void finish_update(const DevicePointer& device, const storage::Status& status, const Done& done);
  void finish_erase(const DevicePointer& device, const storage::Status& status, const Done& done);
  std::optional<RegistryFailure> begin_removal(std::string_view id,
                                               std::optional<std::uint64_t> revision,
                                               DevicePointer& device);
  void submit_removal(const DevicePointer& device, WallTime now, Done done);
  void prune_revocations(WallTime now, storage::Batch& batch);
  void load_entry(std::string_view key, std::string_view value, Loaded& loaded);
  void tell(const Device& device, Change change) const;

  storage::Committer& committer_;
  std::vector<ChangeHook> hooks_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry, std::less<>> devices_;
  TextMap<std::string> ids_by_fingerprint_;  ///< also of creations and removals under way
  TextMap<WallTime> revoked_;                ///< serial → notAfter
  std::size_t revoked_prune_at_ = 1024;      ///< size at which expired ones are looked for
  std::map<std::string, Removal, std::less<>> removals_;
};

}  // namespace skerry::auth
