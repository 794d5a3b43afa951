// How a RetentionFilter reaches the engine: compactions ask whatever filter stands in the slot when
// they begin. The slot outlives every engine that was opened with it.
#pragma once

#include <rocksdb/compaction_filter.h>

#include <memory>
#include <mutex>

#include "storage/kv_store.hpp"

namespace skerry::storage {

class RetentionSlot {
 public:
  void set(std::shared_ptr<const RetentionFilter> filter) {
    const std::lock_guard lock(mutex_);
    filter_ = std::move(filter);
  }
  std::shared_ptr<const RetentionFilter> get() const {
    const std::lock_guard lock(mutex_);
    return filter_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const RetentionFilter> filter_;
};

std::shared_ptr<rocksdb::CompactionFilterFactory> make_retention_factory(
    Family family, std::shared_ptr<const RetentionSlot> slot);

}  // namespace skerry::storage
