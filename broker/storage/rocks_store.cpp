// RocksStore: KvStore over one engine that can be closed and opened again while others read.
//
// After a failed write or sync nothing more is written to that engine: it is closed and the files
// are opened anew, because the engine cannot be trusted to go on (it even aborts in some builds).
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "storage/rocks_engine.hpp"
#include "storage/rocks_iterator.hpp"
#include "storage/rocks_tuning.hpp"

namespace skerry::storage {

namespace {

/// A write batch that grew beyond this is not kept for the next write.
constexpr std::size_t kept_write_batch_bytes = 4 * 1024 * 1024;

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

Status closed_status() {
  return {StatusCode::closed, "the store is being reopened"};
}

/// Tells when the last user of an engine is gone and its files are free again.
class Gone {
 public:
  void set() {
    // Notified under the lock: whoever waits may destroy this object right after.
    const std::lock_guard lock(mutex_);
    gone_ = true;
    changed_.notify_all();
  }

  bool wait(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [this] { return gone_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool gone_ = false;
};

class RocksStore final : public KvStore {
 public:
  RocksStore(RocksOptions options, std::shared_ptr<RetentionSlot> retention,
             std::unique_ptr<Engine> engine)
      : options_(std::move(options)), retention_(std::move(retention)) {
    install(std::move(engine));
  }

  Status write(const Batch& batch, bool sync) override;
  Status sync() override;
  Status get(Family family, std::string_view key, std::string& value,
             const Snapshot* snapshot) const override;
  std::unique_ptr<Iterator> scan(Family family, KeyRange range,
                                 const Snapshot* snapshot) const override;
  std::unique_ptr<Snapshot> snapshot() const override;
  Status checkpoint(const std::string& directory) override;
  Status reopen() override;
  std::uint64_t size_bytes() const override;
  void set_observer(WriteObserver* observer) override {
    const std::lock_guard lock(write_mutex_);
    observer_ = observer;
  }
  void set_retention(std::shared_ptr<const RetentionFilter> filter) override {
    retention_->set(std::move(filter));
  }
  Status compact(Family family, const KeyRange& range) override;
  Status reclaim(std::uint64_t free_bytes) override;

 private:
  Status reclaim_family(const Engine& engine, Family family, std::uint64_t free_bytes);
  std::shared_ptr<const Engine> current() const {
    const std::shared_lock lock(engine_mutex_);
    return engine_;
  }
  void install(std::unique_ptr<Engine> engine);
  void fill_write_batch(const Engine& engine, const Batch& batch);
  Status finish_write(const rocksdb::Status& status, std::string_view what);

  const RocksOptions options_;
  const std::shared_ptr<RetentionSlot> retention_;

  mutable std::shared_mutex engine_mutex_;  ///< guards engine_; held for the time of a copy
  std::shared_ptr<const Engine> engine_;    ///< null while the store is being reopened

  std::mutex write_mutex_;  ///< guards what follows; taken before engine_mutex_
  std::shared_ptr<Gone> gone_;
  rocksdb::WriteBatch write_batch_;
  WriteObserver* observer_ = nullptr;
  Status broken_;  ///< the first failure since the engine was opened
  /// The same for those who do not hold write_mutex_ and would have a broken engine work on.
  std::atomic<bool> is_broken_{false};
  /// Records erased since the family was last reclaimed.
  std::array<std::atomic<std::uint64_t>, family_count> erased_{};
};

void RocksStore::install(std::unique_ptr<Engine> engine) {
  auto gone = std::make_shared<Gone>();
  std::shared_ptr<const Engine> shared(engine.release(), [gone](const Engine* last) {
    delete last;
    gone->set();
  });
  gone_ = std::move(gone);
  const std::unique_lock lock(engine_mutex_);
  engine_ = std::move(shared);
}

void RocksStore::fill_write_batch(const Engine& engine, const Batch& batch) {
  write_batch_.Clear();
  const auto checked = [](const rocksdb::Status& status) { SKERRY_ASSERT(status.ok()); };
  batch.for_each(
      [&](Batch::Kind kind, Family family, std::string_view key, std::string_view value) {
        rocksdb::ColumnFamilyHandle* handle = engine.handle(family);
        switch (kind) {
          case Batch::Kind::put:
            checked(write_batch_.Put(handle, slice(key), slice(value)));
            break;
          case Batch::Kind::erase:
            erased_[static_cast<std::size_t>(family)].fetch_add(1, std::memory_order_relaxed);
            checked(is_put_once(family) ? write_batch_.SingleDelete(handle, slice(key))
                                        : write_batch_.Delete(handle, slice(key)));
            break;
          case Batch::Kind::erase_range:
            // The engine would take a range that ends before it begins into its log and then fail
            // on it.
            if (key < value) {
              erased_[static_cast<std::size_t>(family)].fetch_add(1, std::memory_order_relaxed);
              checked(write_batch_.DeleteRange(handle, slice(key), slice(value)));
            }
            break;
        }
      });
}

Status RocksStore::finish_write(const rocksdb::Status& status, std::string_view what) {
  if (!status.ok()) {
    broken_ = status_from(status, what);
    is_broken_ = true;
    return broken_;
  }
  return {};
}

Status RocksStore::write(const Batch& batch, bool sync) {
  const std::lock_guard lock(write_mutex_);
  if (!broken_.ok()) {
    return broken_;
  }
  const auto engine = current();
  if (engine == nullptr) {
    return closed_status();
  }
  fill_write_batch(*engine, batch);
  rocksdb::WriteOptions options;
  options.sync = sync;
  Status status = finish_write(engine->database().Write(options, &write_batch_), "write");
  if (write_batch_.GetDataSize() > kept_write_batch_bytes) {
    write_batch_ = rocksdb::WriteBatch();
  }
  if (status.ok() && observer_ != nullptr) {
    observer_->written(batch);
  }
  return status;
}

Status RocksStore::sync() {
  const std::lock_guard lock(write_mutex_);
  if (!broken_.ok()) {
    return broken_;
  }
  const auto engine = current();
  return engine == nullptr ? closed_status()
                           : finish_write(engine->database().SyncWAL(), "sync of the log");
}

Status RocksStore::get(Family family, std::string_view key, std::string& value,
                       const Snapshot* snapshot) const {
  const auto* frozen = static_cast<const RocksSnapshot*>(snapshot);
  const auto engine = frozen != nullptr ? frozen->engine() : current();
  if (engine == nullptr) {
    return closed_status();
  }
  rocksdb::ReadOptions options;
  options.snapshot = frozen != nullptr ? frozen->handle() : nullptr;
  rocksdb::PinnableSlice found;
  const rocksdb::Status status =
      engine->database().Get(options, engine->handle(family), slice(key), &found);
  if (status.ok()) {
    value.assign(found.data(), found.size());
  }
  return status_from(status, "get");
}

std::unique_ptr<Iterator> RocksStore::scan(Family family, KeyRange range,
                                           const Snapshot* snapshot) const {
  const auto* frozen = static_cast<const RocksSnapshot*>(snapshot);
  auto engine = frozen != nullptr ? frozen->engine() : current();
  if (engine == nullptr) {
    return nullptr;
  }
  return make_rocks_iterator(std::move(engine), family, std::move(range),
                             frozen != nullptr ? frozen->handle() : nullptr);
}

std::unique_ptr<Snapshot> RocksStore::snapshot() const {
  auto engine = current();
  return engine == nullptr ? nullptr : std::make_unique<RocksSnapshot>(std::move(engine));
}

Status RocksStore::checkpoint(const std::string& directory) {
  const auto engine = current();
  if (engine == nullptr) {
    return closed_status();
  }
  rocksdb::Checkpoint* raw = nullptr;
  const rocksdb::Status made = rocksdb::Checkpoint::Create(&engine->database(), &raw);
  const std::unique_ptr<rocksdb::Checkpoint> maker(raw);
  const std::string what = "checkpoint to " + directory;
  // No flush, whatever the size of the log: the log is copied as far as it is written (its last
  // file cut there, the others linked) and replayed by whoever opens the copy. A flush of all
  // families would hold writers back, and on a full disk it would break the store that is copied
  // from.
  constexpr std::uint64_t never_flush = std::numeric_limits<std::uint64_t>::max();
  return status_from(made.ok() ? maker->CreateCheckpoint(directory, never_flush) : made, what);
}

Status RocksStore::reopen() {
  const std::lock_guard lock(write_mutex_);
  {
    std::shared_ptr<const Engine> old;
    const std::unique_lock engine_lock(engine_mutex_);
    old.swap(engine_);
    // Unlocked before `old` goes, in reverse order of declaration: closing takes a while.
  }
  if (!gone_->wait(options_.reopen_wait)) {
    return {StatusCode::closed, "iterators or snapshots still hold the store open"};
  }
  OpenedEngine opened = Engine::open(options_, retention_);
  if (!opened.status.ok()) {
    return std::move(opened.status);
  }
  install(std::move(opened.engine));
  broken_ = {};
  is_broken_ = false;
  if (observer_ != nullptr) {
    observer_->reopened();
  }
  return {};
}

Status RocksStore::compact(Family family, const KeyRange& range) {
  const auto engine = current();
  if (engine == nullptr || is_broken_) {
    return closed_status();
  }
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  // The last level is where expired records and those behind tombstones lie.
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const rocksdb::Slice from = slice(range.from);
  const rocksdb::Slice to = slice(range.to);
  return status_from(engine->database().CompactRange(options, engine->handle(family),
                                                     range.from.empty() ? nullptr : &from,
                                                     range.to.empty() ? nullptr : &to),
                     "compaction");
}

/// Rewriting a family is worth it when a fifth of what it held is gone.
constexpr std::uint64_t reclaim_share = 5;

Status RocksStore::reclaim_family(const Engine& engine, Family family, std::uint64_t free_bytes) {
  rocksdb::ColumnFamilyHandle* const handle = engine.handle(family);
  std::atomic<std::uint64_t>& count = erased_[static_cast<std::size_t>(family)];
  const std::uint64_t erased = count.load(std::memory_order_relaxed);
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;
  engine.database().GetIntProperty(handle, rocksdb::DB::Properties::kEstimateNumKeys, &keys);
  engine.database().GetIntProperty(handle, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes);
  const std::uint64_t left = bytes / (keys + erased + 1) * (keys + 1);
  if (erased * reclaim_share < keys + erased || left > free_bytes) {
    return {};
  }
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const rocksdb::Status done = engine.database().CompactRange(options, handle, nullptr, nullptr);
  if (done.ok()) {
    count.fetch_sub(erased, std::memory_order_relaxed);
  }
  return status_from(done, "compaction");
}

Status RocksStore::reclaim(std::uint64_t free_bytes) {
  const auto engine = current();
  const bool erased = std::any_of(erased_.begin(), erased_.end(),
                                  [](const auto& count) { return count.load() > 0; });
  if (engine == nullptr || is_broken_) {
    return closed_status();
  }
  if (!erased) {
    return {};
  }
  // All families at once, since the log goes only when none needs it any more.
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  for (std::uint8_t index = 0; index < family_count; ++index) {
    handles.push_back(engine->handle(static_cast<Family>(index)));
  }
  const rocksdb::Status flushed = engine->database().Flush(rocksdb::FlushOptions(), handles);
  if (!flushed.ok()) {
    return status_from(flushed, "flush");
  }
  for (std::uint8_t index = 0; index < family_count; ++index) {
    const auto family = static_cast<Family>(index);
    if (erased_[index].load(std::memory_order_relaxed) == 0) {
      continue;
    }
    if (Status status = reclaim_family(*engine, family, free_bytes); !status.ok()) {
      return status;
    }
  }
  return {};
}

std::uint64_t RocksStore::size_bytes() const {
  namespace fs = std::filesystem;
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator entry(options_.directory, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;  // Files come and go while this walks.
    const std::uintmax_t size = entry->file_size(gone);
    total += gone ? 0 : size;
  }
  return total;
}

}  // namespace

OpenedStore open_rocks_store(const RocksOptions& options) {
  auto retention = std::make_shared<RetentionSlot>();
  OpenedEngine opened = Engine::open(options, retention);
  if (!opened.status.ok()) {
    return {std::move(opened.status), nullptr};
  }
  RocksOptions later = options;
  later.skip_damaged_log = false;
  return {{},
          std::make_unique<RocksStore>(std::move(later), std::move(retention),
                                       std::move(opened.engine))};
}

}  // namespace skerry::storage
