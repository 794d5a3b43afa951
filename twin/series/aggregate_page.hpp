// One page of an aggregate query: buckets of one series after the other, oldest or newest first.
#pragma once

#include "twin/series/series_view.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin::series {

struct BucketRequest {
  std::int64_t step = 1;
  std::int64_t from = 0;  ///< [from, to)
  std::int64_t to = 0;
  std::size_t limit = 1;  ///< more than 0
  bool descending = false;
};

struct BucketAnswer {
  std::vector<AggregateBucket> buckets;
  bool more = false;  ///< there are others behind the last one
};

/// Buckets of one series.
Result<BucketAnswer, storage::Status> read_buckets(const SeriesView& view,
                                                   const BucketRequest& request);

}  // namespace skerry::twin::series
