// KvStore in memory. Each family is an immutable map behind a shared pointer, copied only when a
// write meets a reader that still holds it; a journal of old values undoes what was never synced.
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "storage/kv_store.hpp"

namespace skerry::storage {

namespace {

using Map = std::map<std::string, std::string, std::less<>>;
using Families = std::array<std::shared_ptr<Map>, family_count>;
/// What stood at a key; nullopt: nothing did.
using OldValues = std::map<std::pair<Family, std::string>, std::optional<std::string>>;

bool is_put_once(Family family) {
  return family == Family::messages || family == Family::acks || family == Family::series_log;
}

class MemorySnapshot final : public Snapshot {
 public:
  explicit MemorySnapshot(Families families) : families_(std::move(families)) {}
  const Families& families() const noexcept { return families_; }

 private:
  Families families_;
};

class MemoryIterator final : public Iterator {
 public:
  MemoryIterator(std::shared_ptr<const Map> map, const KeyRange& range)
      : map_(std::move(map)), begin_(map_->lower_bound(range.from)) {
    end_ = range.to.empty() ? map_->end() : map_->lower_bound(range.to);
    if (!range.to.empty() && range.to <= range.from) {
      begin_ = end_;
    }
    at_ = end_;
  }

  void seek_first() override { at_ = begin_; }
  void seek_last() override { at_ = begin_ == end_ ? end_ : std::prev(end_); }

  void seek(std::string_view key) override {
    at_ = begin_;
    if (begin_ != end_ && key > begin_->first) {
      at_ = map_->lower_bound(key);
      at_ = is_behind_end(key) ? end_ : at_;
    }
  }

  void seek_before(std::string_view key) override {
    if (is_behind_end(key)) {
      seek_last();
      return;
    }
    const auto above = map_->upper_bound(key);
    const bool none = begin_ == end_ || key < begin_->first;
    at_ = none ? end_ : std::prev(above);
  }

  void next() override {
    if (valid()) {
      ++at_;
    }
  }

  void previous() override {
    if (valid()) {
      at_ = at_ == begin_ ? end_ : std::prev(at_);
    }
  }

  bool valid() const override { return at_ != end_; }
  std::string_view key() const override { return valid() ? at_->first : std::string_view(); }
  std::string_view value() const override { return valid() ? at_->second : std::string_view(); }
  Status status() const override { return {}; }

 private:
  bool is_behind_end(std::string_view key) const {
    return end_ != map_->end() && key >= std::string_view(end_->first);
  }

  std::shared_ptr<const Map> map_;
  Map::const_iterator begin_;
  Map::const_iterator end_;
  Map::const_iterator at_;
};

/// A fault that starts with the n-th call and lasts until it is cleared.
class Fault {
 public:
  void arm(std::uint64_t nth, StatusCode code) {
    calls_left_ = nth == 0 ? 1 : nth;
    code_ = code;
  }
  void clear() { code_ = StatusCode::ok; }

  Status next() {
    if (code_ == StatusCode::ok || (calls_left_ > 1 && --calls_left_ > 0)) {
      return {};
    }
    return {code_, "the fault that was asked for"};
  }

 private:
  std::uint64_t calls_left_ = 0;
  StatusCode code_ = StatusCode::ok;
};

class MemoryStoreImpl final : public MemoryStore {
 public:
  MemoryStoreImpl() {
    for (auto& family : families_) {
      family = std::make_shared<Map>();
    }
    put(Family::meta, "format_version", std::to_string(format_version), nullptr);
  }

  Status write(const Batch& batch, bool sync) override;
  Status sync() override;
  Status get(Family family, std::string_view key, std::string& value,
             const Snapshot* snapshot) const override;
  std::unique_ptr<Iterator> scan(Family family, KeyRange range,
                                 const Snapshot* snapshot) const override;
  std::unique_ptr<Snapshot> snapshot() const override {
    const std::lock_guard lock(mutex_);
    return std::make_unique<MemorySnapshot>(families_);
  }

  /// There is nowhere to copy to; the call ends well so that callers can be tested.
  Status checkpoint(const std::string&) override { return {}; }
  /// What was written, synced or not, is still there, as after a close and open of files.
  Status reopen() override {
    if (WriteObserver* const observer = current_observer()) {
      observer->reopened();
    }
    return {};
  }
  std::uint64_t size_bytes() const override { return 0; }
  void set_observer(WriteObserver* observer) override {
    const std::lock_guard lock(mutex_);
    observer_ = observer;
  }
  void set_retention(std::shared_ptr<const RetentionFilter> filter) override {
    const std::lock_guard lock(mutex_);
    retention_ = std::move(filter);
  }
  Status compact(Family family, const KeyRange& range) override;

  void fail_write(std::uint64_t nth, StatusCode code) override {
    const std::lock_guard lock(mutex_);
    write_fault_.arm(nth, code);
  }
  void fail_sync(std::uint64_t nth, StatusCode code) override {
    const std::lock_guard lock(mutex_);
    sync_fault_.arm(nth, code);
  }
  void set_capacity(std::uint64_t bytes) override {
    const std::lock_guard lock(mutex_);
    capacity_bytes_ = bytes;
  }
  void heal() override {
    const std::lock_guard lock(mutex_);
    write_fault_.clear();
    sync_fault_.clear();
    capacity_bytes_ = UINT64_MAX;
  }
  void forget_unsynced() override {
    const std::lock_guard lock(mutex_);
    restore(unsynced_);
    unsynced_.clear();
  }

 private:
  static constexpr std::size_t index_of(Family family) { return static_cast<std::size_t>(family); }
  Map& writable(Family family);
  WriteObserver* current_observer() const {
    const std::lock_guard lock(mutex_);
    return observer_;
  }
  Status write_locked(const Batch& batch, bool sync);
  void put(Family family, std::string_view key, std::string_view value, OldValues* old);
  void erase(Family family, Map::iterator at, OldValues* old);
  void apply(const Batch& batch, OldValues& old);
  void restore(const OldValues& old);
  std::shared_ptr<const Map> frozen(Family family, const Snapshot* snapshot) const;

  mutable std::mutex mutex_;
  Families families_;
  OldValues unsynced_;  ///< what stood at each key when the last sync ended
  std::uint64_t used_bytes_ = 0;
  std::uint64_t capacity_bytes_ = UINT64_MAX;
  Fault write_fault_;
  Fault sync_fault_;
  WriteObserver* observer_ = nullptr;
  std::shared_ptr<const RetentionFilter> retention_;
};

/// The family's map, copied first when a snapshot or an iterator holds it.
Map& MemoryStoreImpl::writable(Family family) {
  auto& map = families_[index_of(family)];
  if (map.use_count() > 1) {
    map = std::make_shared<Map>(*map);
  }
  return *map;
}

void MemoryStoreImpl::put(Family family, std::string_view key, std::string_view value,
                          OldValues* old) {
  Map& map = writable(family);
  const auto at = map.find(key);
  if (at == map.end()) {
    if (old != nullptr) {
      old->try_emplace({family, std::string(key)}, std::nullopt);
    }
    map.emplace(key, value);
    used_bytes_ += key.size() + value.size();
    return;
  }
  SKERRY_ASSERT(old == nullptr || !is_put_once(family));  // See Family: a second put of this key.
  used_bytes_ += value.size();
  used_bytes_ -= at->second.size();
  if (old != nullptr) {
    old->try_emplace({family, std::string(key)}, std::move(at->second));
  }
  at->second = value;
}

void MemoryStoreImpl::erase(Family family, Map::iterator at, OldValues* old) {
  used_bytes_ -= at->first.size() + at->second.size();
  if (old != nullptr) {
    old->try_emplace({family, at->first}, std::move(at->second));
  }
  families_[index_of(family)]->erase(at);
}

void MemoryStoreImpl::apply(const Batch& batch, OldValues& old) {
  batch.for_each(
      [&](Batch::Kind kind, Family family, std::string_view key, std::string_view value) {
        SKERRY_ASSERT(family < Family::count_);
        if (kind == Batch::Kind::put) {
          put(family, key, value, &old);
          return;
        }
        Map& map = writable(family);
        if (kind == Batch::Kind::erase) {
          if (const auto at = map.find(key); at != map.end()) {
            erase(family, at, &old);
          }
          return;
        }
        for (auto at = map.lower_bound(key); at != map.end() && at->first < value;) {
          erase(family, at++, &old);
        }
      });
}

void MemoryStoreImpl::restore(const OldValues& old) {
  for (const auto& [place, value] : old) {
    const auto& [family, key] = place;
    if (value.has_value()) {
      put(family, key, *value, nullptr);
      continue;
    }
    Map& map = writable(family);
    if (const auto at = map.find(key); at != map.end()) {
      erase(family, at, nullptr);
    }
  }
}

Status MemoryStoreImpl::write(const Batch& batch, bool sync) {
  Status status = write_locked(batch, sync);
  WriteObserver* const observer = status.ok() ? current_observer() : nullptr;
  if (observer != nullptr) {
    observer->written(batch);
  }
  return status;
}

Status MemoryStoreImpl::write_locked(const Batch& batch, bool sync) {
  const std::lock_guard lock(mutex_);
  if (Status status = write_fault_.next(); !status.ok()) {
    return status;
  }
  OldValues old;
  const std::uint64_t used_before = used_bytes_;
  apply(batch, old);
  if (used_bytes_ > capacity_bytes_ && used_bytes_ > used_before) {
    restore(old);
    return {StatusCode::full, "over the capacity that was set"};
  }
  if (sync) {
    unsynced_.clear();
  } else {
    unsynced_.merge(old);
  }
  return {};
}

Status MemoryStoreImpl::compact(Family family, const KeyRange& range) {
  const std::lock_guard lock(mutex_);
  if (retention_ == nullptr || !may_expire(family)) {
    return {};
  }
  Map& map = writable(family);
  for (auto at = map.lower_bound(range.from);
       at != map.end() && (range.to.empty() || at->first < range.to);) {
    const auto here = at++;
    if (!retention_->keeps(family, here->first, here->second)) {
      erase(family, here, nullptr);
    }
  }
  return {};
}

Status MemoryStoreImpl::sync() {
  const std::lock_guard lock(mutex_);
  Status status = sync_fault_.next();
  if (status.ok()) {
    unsynced_.clear();
  }
  return status;
}

std::shared_ptr<const Map> MemoryStoreImpl::frozen(Family family, const Snapshot* snapshot) const {
  SKERRY_ASSERT(family < Family::count_);
  if (snapshot != nullptr) {
    return static_cast<const MemorySnapshot*>(snapshot)->families()[index_of(family)];
  }
  const std::lock_guard lock(mutex_);
  return families_[index_of(family)];
}

Status MemoryStoreImpl::get(Family family, std::string_view key, std::string& value,
                            const Snapshot* snapshot) const {
  SKERRY_ASSERT(family < Family::count_);
  // Under the lock, so that a plain read does not make the next write copy the family.
  const std::lock_guard lock(mutex_);
  const Families& families =
      snapshot != nullptr ? static_cast<const MemorySnapshot*>(snapshot)->families() : families_;
  const Map& map = *families[index_of(family)];
  const auto at = map.find(key);
  if (at == map.end()) {
    return {StatusCode::not_found, {}};
  }
  value = at->second;
  return {};
}

std::unique_ptr<Iterator> MemoryStoreImpl::scan(Family family, KeyRange range,
                                                const Snapshot* snapshot) const {
  return std::make_unique<MemoryIterator>(frozen(family, snapshot), range);
}

}  // namespace

std::unique_ptr<MemoryStore> MemoryStore::create() {
  return std::make_unique<MemoryStoreImpl>();
}

}  // namespace skerry::storage
