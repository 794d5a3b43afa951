// A chunk: up to chunk_samples_max samples of one series, compressed, in the order of samples.hpp.
//   version (1) · first timestamp (signed varint) · last − first (varint) · totals (totals.hpp)
//   · flags (integer column) · times (time_column.hpp) · values (value_column.hpp)
// The header answers aggregates of buckets that hold the whole chunk. Decoding trusts nothing:
// damaged bytes are an error, whatever they say.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "twin/sample.hpp"
#include "twin/series/integer_column.hpp"
#include "twin/series/totals.hpp"

namespace skerry::twin::series {

inline constexpr std::uint8_t chunk_version = 1;

/// Samples in a chunk. Chunks of fewer than `chunk_samples_small` grow by what comes behind them.
inline constexpr std::size_t chunk_samples_max = 480;
inline constexpr std::size_t chunk_samples_small = 240;

struct ChunkHeader {
  std::int64_t first = 0;  ///< timestamps
  std::int64_t last = 0;
  Totals totals;
};

/// Appends a chunk. `samples`: 1 … chunk_samples_max, sorted and collapsed, texts of at most
/// chunk_text_bytes_max together.
void encode_chunk(std::span<const StoredSample> samples, Workspace& workspace, std::string& out);

/// False: damaged, or of a newer version. O(1).
bool read_chunk_header(std::string_view chunk, ChunkHeader& header);

/// Replaces `out` by the samples. False: damaged; `out` is then of no use.
bool decode_chunk(std::string_view chunk, Workspace& workspace, std::vector<StoredSample>& out);

}  // namespace skerry::twin::series
