// DeviceRegistry: which devices exist, by which keys they are known and which certificates they
// were given. Everything is in memory for the asking (cores ask at each CONNECT) and in
// Family::registry for good; what it deliberately does not do is judge certificates or talk to
// anybody.
//
//    request_approval                 create, import
//          │                                │
//          ▼            approve             ▼         record_certificate
//       pending ───────────────────▶ preauthorised ───────────────────────▶ enrolled
//          │                           │       ▲                             │    ▲
//          │ reject,                   │       │ resume: without certificate │    │ resume: with
//          │ a week                    ▼       │                             ▼    │ certificate
//          ▼                          suspended ◀──────── suspend ───────── (the same)
//         gone                              │
//                                           ▼  retire (from all but pending; certificates revoked)
//                                        retired
//
//   state         | suspend  resume  retire | details  keys  record_certificate | approve reject
//   pending       |    –       –       –    |    –       –           –          |   yes    yes
//   preauthorised |   yes    as is    yes   |   yes     yes         yes         |    –      –
//   enrolled      |   yes    as is    yes   |   yes     yes         yes         |    –      –
//   suspended     |  as is    yes     yes   |   yes     yes          –          |    –      –
//   retired       |    –       –     as is  |   yes      –           –          |    –      –
//
// "–" ends as invalid_state, "as is" succeeds and changes nothing. Erase is allowed from each: the
// device is gone, its serials stay revoked until they expire. Registering an id or a key that only
// a pending device holds takes it from there.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/device.hpp"
#include "auth/device_patch.hpp"
#include "auth/registry_outcome.hpp"
#include "base/now.hpp"
#include "plugin/audit.hpp"
#include "plugin/event_sink.hpp"
#include "storage/kv_store.hpp"

namespace skerry::auth {

/// Who asks for a change; written into its audit record.
struct Actor {
  std::string name;     ///< "user:admin", "device:pump-7", "system"
  std::string address;  ///< where from; empty for the server itself
};

/// What an ETag stands for: a device of the same id that was made later is another one.
struct DeviceVersion {
  WallTime created{};
  std::uint64_t revision = 0;
};

struct ChangeRequest {
  WallTime now{};
  Actor actor = {};
  /// Only if the device still has this version, otherwise revision_mismatch.
  std::optional<DeviceVersion> expected = {};
  /// Joins the same commit: for a token that is used up by this change.
  storage::Batch also = {};
  /// The caller has live sessions judged again when `done` is called, and waits for their end: the
  /// rights hooks are not called.
  bool caller_judges_sessions = false;
};

struct DevicePage {
  std::vector<DevicePointer> devices;  ///< sorted by id (bytes)
  bool more = false;                   ///< there may be devices behind `last`
  std::string last;                    ///< where to go on; set when `more`
};

/// A certificate to be noted, with what a rotation of keys brings along.
struct IssuedCertificate {
  std::string fingerprint;  ///< of the key it was issued for
  DeviceCertificate certificate;
  /// Rotation: the key that `fingerprint` takes over from. The new key is added when the device
  /// does not have it, and this one ends at `overlap_end` if it did not end earlier.
  std::string replaces = {};
  std::optional<WallTime> overlap_end = {};
};

/// What an unknown key has shown.
struct ApprovalRequest {
  std::string fingerprint;
  std::string proposed_id;  ///< CN of the CSR; taken as id when it is valid and free
  std::string subject;      ///< for the human; cut, control characters replaced
  std::string key_type;
  std::string address;  ///< without the port, so that one peer counts once
};

/// A human's yes to a pending device.
struct Approval {
  std::string fingerprint;  ///< what the human has compared; must be that of the pending device
  std::string id;           ///< another id; empty: as it is
  DevicePatch details;      ///< its `keys` are ignored
};

enum class ImportConflict : std::uint8_t { fail, skip, update };

struct ImportRow {
  std::string id;
  DevicePatch patch;
  /// Counts for a device that is created: suspended and retired are kept, all others start as
  /// preauthorised.
  DeviceState state = DeviceState::preauthorised;
};

struct ImportResult {
  enum class Kind : std::uint8_t { created, updated, unchanged, failed };
  Kind kind = Kind::failed;
  RegistryFailure failure;  ///< when failed
};

/// What a dry run has imported so far; about 300 bytes a device.
class ImportOverlay {
 public:
  ImportOverlay();
  ~ImportOverlay();
  ImportOverlay(const ImportOverlay&) = delete;
  ImportOverlay& operator=(const ImportOverlay&) = delete;

 private:
  friend class DeviceRegistry;
  struct State;
  std::unique_ptr<State> state_;
};

/// Thread-safe: readers share a lock, changes are ordered by it. Nothing here blocks on a disk but
/// load(). Each change and its audit record are one commit. What AuditLog submits to must be
/// destroyed (or drained) before the registry. A device costs about 0.8 kB of memory.
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

  explicit DeviceRegistry(plugin::AuditLog& audit);
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
  /// Called when what a device may do has changed or may have: its live sessions are to be judged
  /// again. As on_change(), but not for changes whose caller does that himself.
  using RightsHook = std::function<void(const std::string& id)>;
  void on_rights_change(RightsHook hook);
  /// Where durable changes are told. Before the first change; must outlive the registry.
  void tell_events(plugin::EventSink& events);

  // Changes. None of them blocks. Until a change is durable, readers see the device as it was;
  // erase alone shows at once, since nobody must come in by a device that is being removed.

  /// Registers a device as preauthorised. Id and keys are reserved from now on, so the second of
  /// two wins nothing. Keys may be none: they can be added later.
  void create(std::string id, DevicePatch details, ChangeRequest change, Done done);

  /// Changes what the patch names. Certificates of keys that go are revoked.
  void update(std::string_view id, DevicePatch patch, ChangeRequest change, Done done);

  /// The three ways between states; see the table above.
  void suspend(std::string_view id, ChangeRequest change, Done done);
  void resume(std::string_view id, ChangeRequest change, Done done);
  void retire(std::string_view id, ChangeRequest change, Done done);

  /// Adds a key or, for one that the device has, changes its end. Keys past their end make room.
  void add_key(std::string_view id, KeyWish key, ChangeRequest change, Done done);
  /// Removes a key; its certificates are revoked for `reason`.
  void remove_key(std::string_view id, std::string_view fingerprint, RevocationReason reason,
                  ChangeRequest change, Done done);

  /// Notes a certificate issued to `id` and makes a preauthorised device enrolled. Hand the
  /// certificate out only when `done` says so: a device that was erased or locked out meanwhile
  /// ends as not_found or invalid_state.
  void record_certificate(std::string_view id, IssuedCertificate issued, ChangeRequest change,
                          Done done);
  /// Revokes one certificate. With key_compromise its key goes as well, and with it all others
  /// issued for that key: whoever has the key could otherwise enrol again.
  void revoke_certificate(std::string_view serial, RevocationReason reason, ChangeRequest change,
                          Done done);

  /// Removes a device: at once for readers, `done` when that is durable. The serials of its
  /// certificates are revoked until they expire, also for a later device of the same id and key.
  /// When storing failed the device stays locked out and erase may be called again. The outcome
  /// holds the device as it was.
  void erase(std::string_view id, ChangeRequest change, Done done);

  /// An unknown key wants in: gives the pending device that stands for it, making it if need be.
  /// Ends as `rejected` for a key that a human has refused, `limit` when too many wait, `exists`
  /// when the key has become known meanwhile (ask again).
  void request_approval(ApprovalRequest request, WallTime now, Done done);
  /// Makes a pending device preauthorised, under another id if one is given.
  void approve(std::string_view id, Approval approval, ChangeRequest change, Done done);
  /// Drops a pending device and remembers its key for pending_life.
  void reject(std::string_view id, std::string_view fingerprint, ChangeRequest change, Done done);
  /// Drops who has waited longer than pending_life; request_approval does it as well.
  void expire_pending(WallTime now);
  /// How many have been refused because too many waited. Any thread.
  std::uint64_t approvals_refused() const noexcept { return approvals_refused_; }

  /// Imports up to import_batch_devices rows by one commit with one audit record; `done` gets a
  /// result for each. A row sees what the rows before it have done. When storing fails, all rows
  /// that were to change something end as `storage`. Holds the lock for about 2 µs a row.
  using ImportDone = std::function<void(std::vector<ImportResult>)>;
  void import(std::vector<ImportRow> rows, ImportConflict conflict, ChangeRequest change,
              ImportDone done);
  /// The same results without any change; `overlay` carries them from batch to batch.
  std::vector<ImportResult> import_dry_run(const std::vector<ImportRow>& rows,
                                           ImportConflict conflict, WallTime now,
                                           ImportOverlay& overlay) const;

  // Questions. Any thread.

  /// nullptr when there is none. O(log n).
  DevicePointer find(std::string_view id) const;
  DevicePointer find_by_fingerprint(std::string_view fingerprint) const;
  /// The device that has a good certificate of this serial.
  DevicePointer find_by_serial(std::string_view serial) const;

  /// Devices with id > `after` (empty: from the start), at most `limit` (1 … 1000), of this state
  /// if one is given. O(log n + limit); by state it looks at no more than 10,000 devices, so that
  /// a page may come short, even empty, and still have `more`.
  DevicePage list(std::string_view after, std::size_t limit,
                  std::optional<DeviceState> state = std::nullopt) const;

  std::size_t size() const;
  std::size_t pending_count() const;

  /// Has this serial (lower-case hex) been revoked and not expired since?
  bool is_revoked(std::string_view serial) const;
  std::optional<Revocation> revocation(std::string_view serial) const;
  /// What a CRL of this moment lists, in no order. O(n), copies.
  std::vector<RevokedCertificate> revocations(WallTime now) const;
  /// Those of one device.
  std::vector<RevokedCertificate> revocations_of(std::string_view id) const;
  /// Grows when a certificate is revoked: time for a new CRL.
  std::uint64_t revocation_epoch() const noexcept { return revocation_epoch_; }

 private:
  struct Entry {
    DevicePointer visible;  ///< what is durable; null while the creation is under way
    DevicePointer newest;   ///< what has been handed to the committer
  };
  struct Removal {
    DevicePointer device;   ///< as it was last handed to the committer
    DevicePointer visible;  ///< as it was last durable; may hold keys that `device` had lost
    bool failed = false;    ///< storing failed: may be tried again
  };
  /// One device's part of a commit under way.
  struct Staged {
    DevicePointer before;  ///< null for a creation
    DevicePointer after;
    std::vector<RevokedCertificate> revoked;
    std::vector<DevicePointer> dropped;  ///< pending devices that give way
    bool caller_judges_sessions = false;
  };
  /// A change of one device: what it is called and what it does to a copy.
  struct Edit {
    const char* action;  ///< of the audit record
    RevocationReason reason = RevocationReason::superseded;
    /// Says whether anything has changed. Called under the lock.
    std::function<Result<bool, RegistryFailure>(Device&)> apply;
  };
  friend class ImportOverlay;
  struct ImportView;
  struct LiveView;
  struct OverlayView;
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  template <typename Value>
  using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;
  /// SHA-256 as bytes: half of its text, and no second allocation.
  using KeyHash = std::array<unsigned char, 32>;
  struct KeyHashHash {
    std::size_t operator()(const KeyHash& hash) const noexcept;
  };

  static KeyHash key_hash(std::string_view fingerprint) noexcept;
  const std::string* indexed_owner(std::string_view fingerprint) const;
  DevicePointer key_owner(std::string_view fingerprint) const;

  void modify(std::string_view id, ChangeRequest change, const Edit& edit, const Done& done);
  std::optional<RegistryFailure> modify_locked(std::string_view id, ChangeRequest& change,
                                               const Edit& edit, const Done& done,
                                               DevicePointer& unchanged);
  std::optional<RegistryFailure> refuse_create(const Device& device) const;
  std::optional<RegistryFailure> refuse_keys(const Device& device) const;
  void create_locked(std::shared_ptr<Device> device, ChangeRequest& change, const char* action,
                     const Done& done);
  Staged stage(DevicePointer before, DevicePointer after, RevocationReason reason,
               storage::Batch& batch);
  void drop_pending(const DevicePointer& device, storage::Batch& batch, Staged& staged);
  void submit(Staged staged, const char* action, ChangeRequest& change, storage::Batch batch,
              const Done& done);
  void finish(const Staged& staged, const char* action, const storage::Status& status,
              const Done& done, WallTime now);
  void settle(const Staged& staged, bool stored);
  void settle_dropped(const Staged& staged, bool stored);
  void show(Entry& entry, const DevicePointer& device);
  void index_details(const Device& device);
  void unindex_details(const Device& device);
  void release_keys(const Device& device, const Entry* entry);
  void announce(const Staged& staged, const char* action, WallTime now) const;

  std::optional<RegistryFailure> begin_removal(std::string_view id, const ChangeRequest& change,
                                               DevicePointer& device);
  void remove(std::string_view id, ChangeRequest change, const Edit& why, Done done);
  void submit_removal(const DevicePointer& device, const Edit& why, ChangeRequest& change,
                      Done done);
  void finish_erase(const DevicePointer& device, const char* action, const storage::Status& status,
                    const Done& done, const ChangeRequest& change);
  void prune_revocations(WallTime now, storage::Batch& batch);
  std::optional<RegistryFailure> refuse_request(const ApprovalRequest& request, WallTime now,
                                                DevicePointer& known);
  std::string free_id(const ApprovalRequest& request) const;
  static std::optional<RegistryFailure> refuse_answer(std::string_view id,
                                                      const DevicePointer& pending,
                                                      std::string_view fingerprint,
                                                      const ChangeRequest& change);
  void remember_rejection(std::string_view fingerprint, WallTime now, storage::Batch& batch);
  static ImportResult plan_row(ImportView& view, const ImportRow& row, ImportConflict conflict,
                               WallTime now);
  static std::string describe_import(const std::vector<Staged>& staged);
  void finish_import(const std::vector<Staged>& staged, const storage::Status& status,
                     WallTime now);
  void load_entry(std::string_view key, std::string_view value, Loaded& loaded);
  void tell(const Device& device, Change change) const;
  void tell_rights(const std::string& id, bool caller_judges_sessions) const;

  plugin::AuditLog& audit_;
  plugin::NoEvents no_events_;
  plugin::EventSink* events_ = &no_events_;
  std::vector<ChangeHook> hooks_;
  std::vector<RightsHook> rights_hooks_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry, std::less<>> devices_;
  /// Fingerprint → id; also of creations and removals under way.
  std::unordered_map<KeyHash, std::string, KeyHashHash> ids_by_key_;
  /// Hash of a serial → id of a visible device; a candidate to look at, not a proof.
  std::unordered_multimap<std::size_t, std::string> ids_by_serial_;
  std::set<std::pair<WallTime, std::string>> pending_;  ///< by the time of the request
  std::map<std::string, std::size_t, std::less<>> pending_by_address_;
  TextMap<WallTime> rejected_;           ///< fingerprint → when
  TextMap<Revocation> revoked_;          ///< by serial
  std::size_t revoked_prune_at_ = 1024;  ///< size at which expired ones are looked for
  std::map<std::string, Removal, std::less<>> removals_;
  std::atomic<std::uint64_t> approvals_refused_{0};
  std::atomic<std::uint64_t> revocation_epoch_{0};
};

}  // namespace skerry::auth
