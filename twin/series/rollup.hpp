// A roll-up record: the totals of the buckets of one block, those without samples left out.
//   version (1) · buckets (varint) · form (1) · offsets in buckets · counts · counts − numbers
//   form 0, decimal: places (1) · first · last − first · min(first, last) − minimum
//     · maximum − max(first, last) · sum − numbers × first, all as integers of 10^-places
//   form 1: minimum, maximum, first, last (Gorilla) · sums (ExactSum)
// All columns without further mark are integer columns. The differences are 0 for a bucket of one
// sample and small for others.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "twin/series/integer_column.hpp"
#include "twin/series/keys.hpp"
#include "twin/series/totals.hpp"

namespace skerry::twin::series {

inline constexpr std::uint8_t rollup_version = 1;

struct RollupBucket {
  std::int64_t start = 0;
  Totals totals;
  friend bool operator==(const RollupBucket&, const RollupBucket&) = default;
};

/// Appends the record. `buckets`: not empty, ascending, all of the block `place` and of samples.
void encode_rollup(std::span<const RollupBucket> buckets, RollupPlace place, Workspace& workspace,
                   std::string& out);

/// Appends the buckets of the record at `place` to `out`. False: damaged.
bool decode_rollup(std::string_view record, RollupPlace place, Workspace& workspace,
                   std::vector<RollupBucket>& out);

}  // namespace skerry::twin::series
