// Sealer: works what waits in the log of a device into chunks and roll-ups. All of a device's seal
// is in one batch: the chunks come, the rows go, whatever crashes when. It is the only writer of
// chunks, so nothing changes under it; it must never run twice at the same time.
#pragma once

#include "twin/series/index.hpp"
#include "twin/series/integer_column.hpp"
#include "twin/series/limits.hpp"
#include "twin/series/pending.hpp"
#include "twin/series/retention.hpp"

namespace skerry::twin::series {

class Sealer {
 public:
  /// All must outlive the sealer.
  Sealer(const storage::KvStore& store, const Retention& retention, SeriesStatistics& statistics)
      : store_(store), retention_(retention), statistics_(statistics) {}

  struct Seal {
    storage::Status status;    ///< when not ok, what was added to the batch must not be written
    SealedRows rows;           ///< for the index, when the batch is written
    bool has_more = false;     ///< the log holds more of this device than one seal takes
    bool erased_much = false;  ///< whole series went: compacting gives space back
  };

  /// Adds the seal of everything that waits, or of the first sealed_bytes_max of it, to `batch`. A
  /// device must not be in one batch twice. Blocks.
  Seal seal(std::string_view device, storage::Batch& batch);

  static constexpr std::size_t sealed_bytes_max = 8 * 1024 * 1024;

 private:
  struct Job;
  storage::Status seal_series(const Job& job, const std::string& key,
                              std::vector<StoredSample> samples);
  Result<std::vector<std::string>, storage::Status> keys_of(const Job& job) const;

  const storage::KvStore& store_;
  const Retention& retention_;
  SeriesStatistics& statistics_;
  Workspace workspace_;
};

}  // namespace skerry::twin::series
