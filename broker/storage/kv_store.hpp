// KvStore is to storage what LevelDB's Env is: the one seam behind which the engine lives, so that
// a test can fail the n-th write, forget what was not synced, or fill up. Keys sort by unsigned
// bytes.
//
// Threads: write() and sync() are called by the committer alone; get(), iterators and snapshots by
// any thread that may block (reader pool, admin), never by a core.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "storage/batch.hpp"
#include "storage/status.hpp"

namespace skerry::storage {

/// A frozen state of the store; reads through it do not see later writes. Give it back soon.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
};

/// Keys from `from` (included) to `to` (excluded; empty: the end of the family).
struct KeyRange {
  std::string from;
  std::string to;
};

/// The smallest key greater than all keys that begin with `prefix`; empty when there is none.
std::string prefix_end(std::string_view prefix);

/// Walks a KeyRange in either direction. Positioned nowhere until a seek. Not thread-safe.
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual void seek_first() = 0;
  virtual void seek_last() = 0;
  /// First key ≥ `key` inside the range.
  virtual void seek(std::string_view key) = 0;
  /// Last key ≤ `key` inside the range.
  virtual void seek_before(std::string_view key) = 0;
  virtual void next() = 0;
  virtual void previous() = 0;
  virtual bool valid() const = 0;
  /// Views that live until the next move.
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;
};

/// Hears of each write that ended well, so that what memory knows is what was written and nothing
/// else. Called on the writing thread before write() returns; must neither block nor write.
class WriteObserver {
 public:
  virtual ~WriteObserver() = default;
  virtual void written(const Batch& batch) = 0;
  /// The store was opened again: it may now hold batches whose write had ended as a failure.
  virtual void reopened() = 0;
};

/// Says which records have outlived their time; see may_expire().
class RetentionFilter {
 public:
  virtual ~RetentionFilter() = default;
  /// False: the record may go, now or later or never, snapshots or not; readers must pass over it
  /// themselves. Any thread of the engine, at any time until the store is closed; must not block.
  virtual bool keeps(Family family, std::string_view key, std::string_view value) const = 0;
};

/// The families whose records a RetentionFilter is asked about.
bool may_expire(Family family) noexcept;

class KvStore {
 public:
  virtual ~KvStore() = default;

  /// Stores the batch whole or not at all. `sync`: on stable storage before it returns. Blocks.
  virtual Status write(const Batch& batch, bool sync) = 0;

  /// Puts everything written so far on stable storage. Blocks.
  virtual Status sync() = 0;

  /// not_found leaves `value` alone. `snapshot` may be null: the newest state. Blocks.
  virtual Status get(Family family, std::string_view key, std::string& value,
                     const Snapshot* snapshot = nullptr) const = 0;

  /// The iterator keeps the state of the moment it is made (or of `snapshot`). nullptr when closed.
  virtual std::unique_ptr<Iterator> scan(Family family, KeyRange range,
                                         const Snapshot* snapshot = nullptr) const = 0;

  /// nullptr when closed: check before passing it on, since null means "the newest state".
  virtual std::unique_ptr<Snapshot> snapshot() const = 0;

  /// Writes a consistent copy of the store to `directory`, which must not exist. Blocks.
  virtual Status checkpoint(const std::string& directory) = 0;

  /// Drops the engine's state and opens the same files again: the way back after an I/O error,
  /// since the engine must not go on after a failed log append. Readers get `closed` meanwhile.
  /// Iterators and snapshots made before stay readable and keep the old state open: reopen() waits
  /// for them to go, at most RocksOptions::reopen_wait, and then ends as `closed`; the store stays
  /// closed and reopen() may be called again. After a write or sync that failed, all further writes
  /// end the same way until a reopen() succeeds. Blocks.
  virtual Status reopen() = 0;

  /// One observer, or nullptr for none. Not while another thread writes.
  virtual void set_observer(WriteObserver* observer) = 0;

  /// nullptr: everything is kept. Any thread.
  virtual void set_retention(std::shared_ptr<const RetentionFilter> filter) = 0;

  /// Gives the space of erased and expired records in the range back to the disk; others read and
  /// write meanwhile. The engine does the same by itself, a week later at the latest for
  /// families that may expire. Blocks for as long as rewriting the range takes.
  virtual Status compact(Family family, const KeyRange& range) = 0;

  /// Gives the space of what was erased since the last call back to the disk, family by family, as
  /// far as rewriting what is left of a family is worth it and fits into `free_bytes`. For when
  /// space runs low; the engine does the same in its own time. Blocks; not the committer's thread.
  virtual Status reclaim(std::uint64_t free_bytes) {
    static_cast<void>(free_bytes);
    return {};
  }

  /// Bytes on disk, for metrics; 0 for the in-memory store. Any thread.
  virtual std::uint64_t size_bytes() const = 0;
};

struct RocksOptions {
  std::string directory;
  std::size_t write_buffer_bytes = 16 * 1024 * 1024;  ///< of the largest family; four times in all
  std::size_t block_cache_bytes = 8 * 1024 * 1024;    ///< for blocks of files, indexes and filters
  /// How long reopen() waits for iterators and snapshots that others still hold.
  std::chrono::milliseconds reopen_wait{2000};
  /// When opened first: passes over records of the log that do not check out, instead of ending the
  /// log there; see salvage.hpp.
  bool skip_damaged_log = false;
  /// Gets the engine's own warnings and errors, one line each; may be called by any thread.
  std::function<void(std::string_view)> log = [](std::string_view) {};
};

/// Opens or creates the store. Writes `format_version` on creation and refuses a newer one with
/// `unsupported` and a sentence in `detail`. A lock held by another process is io_error with a
/// sentence that says so. Blocks.
struct OpenedStore {
  Status status;
  std::unique_ptr<KvStore> store;  ///< null unless status.ok()
};
OpenedStore open_rocks_store(const RocksOptions& options);

/// The version of the layout that this program writes.
inline constexpr std::uint32_t format_version = 1;

/// KvStore in memory for tests and simulation, with the faults of a real one. Thread-safe.
class MemoryStore : public KvStore {
 public:
  static std::unique_ptr<MemoryStore> create();

  /// Fails the n-th write from now (1: the next) and all after it with `code`, until heal().
  virtual void fail_write(std::uint64_t nth, StatusCode code) = 0;
  /// The same for sync(), which fail_write does not touch.
  virtual void fail_sync(std::uint64_t nth, StatusCode code) = 0;
  /// Each later write that would take the total over `bytes` ends as `full`.
  virtual void set_capacity(std::uint64_t bytes) = 0;
  /// Ends all faults and lifts the capacity.
  virtual void heal() = 0;
  /// Loses every write since the last one that was synced, as a power cut would.
  virtual void forget_unsynced() = 0;
};

}  // namespace skerry::storage
