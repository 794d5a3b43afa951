// PlainSeriesStore: a record per sample (see sample_record.hpp), found by key order alone. It keeps
// no index and no "latest" record: the series of a device are found by skipping from one to the
// next, the newest sample by a step back from the end, so a core never needs to read before it
// writes. It does not compress, roll up or expire anything, and it erases whole series only.
#pragma once

#include "storage/kv_store.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin {

class PlainSeriesStore final : public SeriesStore {
 public:
  /// `store` must outlive this object.
  explicit PlainSeriesStore(const storage::KvStore& store) : store_(store) {}

  AppendResult append(std::string_view device, std::span<const Sample> samples,
                      storage::Batch& batch) override;
  void erase(const SeriesErase& erase, storage::Batch& batch) override;
  void erase_device(std::string_view device, storage::Batch& batch) override;
  Result<SeriesPage, storage::Status> query(const SeriesQuery& query) const override;
  /// Reads every sample.
  Result<AggregatePage, storage::Status> aggregate(const AggregateQuery& query) const override;
  /// Two or three seeks a series.
  Result<LatestPage, storage::Status> latest(const LatestQuery& query) const override;
  Result<FleetLatestPage, storage::Status> latest_of(const FleetLatestQuery& query) const override;
  Result<bool, storage::Status> has_data(std::string_view device) const override;

 private:
  const storage::KvStore& store_;
};

}  // namespace skerry::twin
