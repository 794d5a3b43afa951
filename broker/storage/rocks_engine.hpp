// One open engine: the database, its families and nothing else. It is immutable once open and lives
// as long as anybody reads from it; only then may the same files be opened again.
#pragma once

#include <rocksdb/db.h>

#include <array>
#include <memory>
#include <string_view>

#include "storage/kv_store.hpp"
#include "storage/rocks_retention.hpp"

namespace skerry::storage {

class Engine;

struct OpenedEngine {
  Status status;
  std::unique_ptr<Engine> engine;  ///< null unless status.ok()
};

class Engine {
 public:
  /// Creates the directory (mode 0700) and the store when absent, refuses newer formats. Blocks.
  static OpenedEngine open(const RocksOptions& options,
                           const std::shared_ptr<const RetentionSlot>& retention);

  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  rocksdb::DB& database() const noexcept { return *database_; }
  rocksdb::ColumnFamilyHandle* handle(Family family) const noexcept;

 private:
  Engine() = default;
  Status check_format();

  std::unique_ptr<rocksdb::DB> database_;
  std::array<rocksdb::ColumnFamilyHandle*, family_count> handles_{};
  rocksdb::ColumnFamilyHandle* default_handle_ = nullptr;  ///< the engine insists on having it
};

/// The engine's status in our own words; `what` says what was being done.
Status status_from(const rocksdb::Status& status, std::string_view what);

/// The key in Family::meta under which the layout's version stands, as decimal digits.
inline constexpr std::string_view format_version_key = "format_version";

}  // namespace skerry::storage
