// Totals of a series over time, from the coarsest parts that give exactly what the samples would:
//
//   step of whole days    ├─ ragged ─┤├──── days ────┤├─ touched ─┤├─ days ─┤├─ ragged ─┤
//                          hours, minutes and samples    by what waits in the log
//
// A roll-up is used where nothing waits and nothing is erased that is not worked in; the rest is
// made of the next finer level, down to headers of chunks and samples.
#pragma once

#include <cstdint>

#include "storage/status.hpp"
#include "twin/series/series_view.hpp"
#include "twin/series/totals.hpp"

namespace skerry::twin::series {

class TotalsVisitor {
 public:
  virtual ~TotalsVisitor() = default;
  /// A part of one step: `time` is of its first sample, or of the bucket that it comes from. In the
  /// order of time. False ends the walk.
  virtual bool part(std::int64_t time, const Totals& totals) = 0;
};

/// Parts of [from, to), none of which lies in two steps. `step`: 1 … series_step_max.
storage::Status walk_totals(const SeriesView& view, std::int64_t step, std::int64_t from,
                            std::int64_t to, TotalsVisitor& visitor);

/// First and last instant at which there may be anything; empty (to < from) when there is nothing.
Result<TimeRange, storage::Status> extent_of(const SeriesView& view);

}  // namespace skerry::twin::series
