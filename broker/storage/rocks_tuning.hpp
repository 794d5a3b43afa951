// Every setting of the engine in one place: what each family is good for, and how much memory, disk
// and how many descriptors the whole may take.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/options.h>

#include <memory>

#include "storage/kv_store.hpp"
#include "storage/rocks_retention.hpp"

namespace skerry::storage {

/// Settings of the engine as a whole.
rocksdb::DBOptions engine_options(const RocksOptions& options);

/// What all families of one engine share.
struct SharedParts {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<const RetentionSlot> retention;
};

/// Settings of one family.
rocksdb::ColumnFamilyOptions family_options(Family family, const RocksOptions& options,
                                            const SharedParts& shared);

/// True for families whose keys are put exactly once before they are erased: a SingleDelete then
/// takes record and tombstone away together, mostly before either reaches a file.
bool is_put_once(Family family) noexcept;

}  // namespace skerry::storage
