// A column of integers in the form that is smallest for it:
//   form (1)
//   0 constant       value (signed varint)
//   1 packed         base (signed varint) · scale (varint) · width (1) · bits: (value − base) /
//   scale 2 packed deltas  first (signed varint) · the differences, packed as above 3 runs runs
//   (varint) · { value − value of the run before (signed), length (varint) }* 4 compressed     raw
//   size (varint) · size (varint) · zstd of the differences as signed varints
// Scale is what all distances from the base have in common: pages of 4096 bytes, whole tens.
// Differences wrap, so every 64-bit value comes back. How many values there are, the caller knows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "twin/series/bytes.hpp"
#include "twin/series/zstd.hpp"

namespace skerry::twin::series {

/// Buffers that encoders and decoders keep from call to call. Not thread-safe.
struct Workspace {
  Zstd zstd;
  std::vector<std::int64_t> differences;
  std::vector<std::int64_t> integers;
  std::vector<std::int64_t> others;
  std::string bytes;
  std::string compressed;
  std::string column;
  std::string alternative;
};

enum class TryZstd : std::uint8_t { no, yes };

/// Appends the column to `out`. Uses `differences`, `bytes` and `compressed` of the workspace.
/// O(values), two passes; with zstd some 10 µs more for 480 values that are not regular.
void encode_integers(std::span<const std::int64_t> values, TryZstd zstd, Workspace& workspace,
                     std::string& out);

/// Replaces `out` by `count` values; the caller bounds `count`. False: damaged.
bool decode_integers(ByteReader& in, std::size_t count, Workspace& workspace,
                     std::vector<std::int64_t>& out);

}  // namespace skerry::twin::series
