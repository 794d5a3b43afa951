// Iterator and snapshot over one open engine. Both keep the engine open for as long as they live.
#pragma once

#include <rocksdb/db.h>

#include <memory>

#include "storage/kv_store.hpp"
#include "storage/rocks_engine.hpp"

namespace skerry::storage {

class RocksSnapshot final : public Snapshot {
 public:
  explicit RocksSnapshot(std::shared_ptr<const Engine> engine);
  ~RocksSnapshot() override;
  RocksSnapshot(const RocksSnapshot&) = delete;
  RocksSnapshot& operator=(const RocksSnapshot&) = delete;

  const std::shared_ptr<const Engine>& engine() const noexcept { return engine_; }
  const rocksdb::Snapshot* handle() const noexcept { return handle_; }

 private:
  std::shared_ptr<const Engine> engine_;
  const rocksdb::Snapshot* handle_;
};

/// `snapshot` may be null and need not outlive the iterator.
std::unique_ptr<Iterator> make_rocks_iterator(std::shared_ptr<const Engine> engine, Family family,
                                              KeyRange range, const rocksdb::Snapshot* snapshot);

}  // namespace skerry::storage
