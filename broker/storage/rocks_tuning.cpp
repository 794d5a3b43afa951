// Settings of the engine. Numbers follow what a prototype measured: small write buffers keep the
// longest commit at a few milliseconds, and a bound on the log keeps slow families from pinning it.
#include "storage/rocks_tuning.hpp"

#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>

#include "storage/rocks_log.hpp"

namespace skerry::storage {

namespace {

/// Descriptors that table files may hold of those the process has.
constexpr int open_files_max = 512;

/// Full buffers of one family that may wait for their flush, the active one included.
constexpr int write_buffers_max = 3;

std::size_t write_buffer_bytes(Family family, std::size_t whole) {
  constexpr std::size_t least = 64 * 1024;
  switch (family) {
    case Family::messages:
      return std::max(whole, least);
    case Family::acks:
    case Family::series_log:
      return std::max(whole / 2, least);
    case Family::meta:
    case Family::sessions:
    case Family::subscriptions:
    case Family::inflight:
    case Family::retained:
    case Family::registry:
    case Family::series:
    case Family::series_latest:
    case Family::series_chunks:
    case Family::series_rollups:
    case Family::documents:
    case Family::admin:
    case Family::count_:
      break;
  }
  return std::max(whole / 4, least);
}

/// Expired records leave their files within this time at the latest.
constexpr std::uint64_t rewrite_seconds_max = 7 * 24 * 3600;

/// Families that are read in runs and never asked for a key that may not be there.
bool is_series(Family family) noexcept {
  return family == Family::series || family == Family::series_log ||
         family == Family::series_chunks || family == Family::series_rollups;
}

/// Rows of the log mostly live for an hour: a cheap compression. The rest stays for good.
rocksdb::CompressionType compression_of(Family family) noexcept {
  if (family == Family::series_log) {
    return rocksdb::kLZ4Compression;
  }
  return is_series(family) ? rocksdb::kZSTD : rocksdb::kNoCompression;
}

rocksdb::BlockBasedTableOptions table_options(Family family,
                                              const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  // Indexes and filters count against the cache, so memory stays bounded when files grow many.
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  if (is_series(family)) {
    table.block_size = 16 * 1024;  // Larger blocks compress better and series are read in runs.
  } else if (!is_put_once(family)) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  }
  return table;
}

/// What keys of the log of one device share: all but the sequence at the end.
class RunOfRows final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "skerry.RunOfRows"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), key.size() - sequence_bytes};
  }
  bool InDomain(const rocksdb::Slice& key) const override { return key.size() > sequence_bytes; }

 private:
  static constexpr std::size_t sequence_bytes = 8;
};

/// Keys of queued messages grow with each, and they go in much the same order: one run.
class OneRun final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "skerry.OneRun"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override { return {key.data(), 0}; }
  bool InDomain(const rocksdb::Slice&) const override { return true; }
};

}  // namespace

bool is_put_once(Family family) noexcept {
  return family == Family::messages || family == Family::acks || family == Family::series_log;
}

rocksdb::DBOptions engine_options(const RocksOptions& options) {
  rocksdb::DBOptions engine;
  engine.create_if_missing = true;
  engine.create_missing_column_families = true;
  engine.info_log = make_engine_logger(options.log);
  engine.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  engine.listeners.push_back(make_engine_listener(options.log));
  engine.wal_recovery_mode = options.skip_damaged_log
                                 ? rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords
                                 : rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Replayed records are flushed to new, synced files before the store is used: what a failed sync
  // left only in the page cache thereby reaches the disk.
  engine.avoid_flush_during_recovery = false;
  engine.max_total_wal_size = std::max<std::uint64_t>(options.write_buffer_bytes * 4, 1024 * 1024);
  engine.db_write_buffer_size = options.write_buffer_bytes * 4;
  engine.max_background_jobs = 2;
  engine.max_open_files = open_files_max;
  engine.max_file_opening_threads = 1;
  engine.stats_dump_period_sec = 0;
  engine.stats_persist_period_sec = 0;
  return engine;
}

rocksdb::ColumnFamilyOptions family_options(Family family, const RocksOptions& options,
                                            const SharedParts& shared) {
  rocksdb::ColumnFamilyOptions result;
  result.write_buffer_size = write_buffer_bytes(family, options.write_buffer_bytes);
  result.max_write_buffer_number = write_buffers_max;
  result.level_compaction_dynamic_level_bytes = true;
  result.compression = compression_of(family);
  if (family == Family::series_log) {
    // Rows and their removals come in runs of one device: each place is found from the one before.
    result.memtable_insert_with_hint_prefix_extractor = std::make_shared<RunOfRows>();
  } else if (family == Family::messages) {
    result.memtable_insert_with_hint_prefix_extractor = std::make_shared<OneRun>();
  }
  result.table_factory.reset(
      rocksdb::NewBlockBasedTableFactory(table_options(family, shared.cache)));
  if (may_expire(family)) {
    result.compaction_filter_factory = make_retention_factory(family, shared.retention);
    result.periodic_compaction_seconds = rewrite_seconds_max;
  }
  return result;
}

}  // namespace skerry::storage
