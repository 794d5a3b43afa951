// Timestamps of a chunk, ascending. Devices report at an interval, early or late by some
// milliseconds, and leave out a few: that is a grid. The smaller of two forms:
//   0 differences   the differences as an integer column
//   1 grid          interval (varint) · steps taken from one to the next (integer column)
//                   · distance from the grid (integer column)
// The first timestamp is the caller's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "twin/series/integer_column.hpp"

namespace skerry::twin::series {

/// Appends the column. `times` is not empty. Uses everything in the workspace.
void encode_times(std::span<const std::int64_t> times, Workspace& workspace, std::string& out);

/// Replaces `out` by `count` times that begin with `first` and never descend. False: damaged.
bool decode_times(ByteReader& in, std::int64_t first, std::size_t count, Workspace& workspace,
                  std::vector<std::int64_t>& out);

}  // namespace skerry::twin::series
