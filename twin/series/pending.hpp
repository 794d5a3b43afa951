// What waits in the log of one device: samples that are in no chunk yet, and erasures that have not
// been worked in. Whoever reads a series reads this first.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/kv_store.hpp"
#include "twin/series/log_row.hpp"

namespace skerry::twin::series {

struct PendingSeries {
  std::vector<StoredSample> samples;  ///< sorted and collapsed; none that a later row erases
  std::uint32_t in_rows = 0;          ///< as they stood in rows, before that
};

struct Pending {
  std::map<std::string, PendingSeries, std::less<>> series;
  std::vector<Erasure> erasures;  ///< what they say goes for chunks; ascending sequence
  std::vector<std::string> row_keys;
  std::size_t row_bytes = 0;
  std::uint32_t damaged = 0;
  std::uint64_t collapsed = 0;

  std::span<const StoredSample> samples_of(std::string_view key) const noexcept;
  /// The erasures that go for `key`.
  std::vector<Erasure> erasures_of(std::string_view key) const;
};

struct PendingOptions {
  std::span<const std::string> keys;     ///< sorted; the samples of these alone; empty: of all
  std::size_t row_bytes_max = SIZE_MAX;  ///< stop behind the row that takes it over this
  bool row_keys = false;                 ///< fill row_keys too
};

/// Rows of `device` as `snapshot` shows them. Damaged rows are passed over and counted.
Result<Pending, storage::Status> read_pending(const storage::KvStore& store,
                                              const storage::Snapshot& snapshot,
                                              std::string_view device,
                                              const PendingOptions& options);

}  // namespace skerry::twin::series
