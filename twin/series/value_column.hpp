// Values of a chunk:
//   types (integer column of ValueType), then for each kind that occurs, in this order:
//   numbers   form (1): 0 decimal: places (1) · mantissas (integer column) | 1 Gorilla: 64-bit
//             patterns of integers and doubles
//   booleans  integer column of 0 and 1: a bitmap, or runs
//   texts     dictionary: entries (varint) · raw size (varint) · size (varint, 0: not compressed)
//             · { length (varint) · bytes }* · an integer column of entries
// A constant, a bitmap and so on are the forms that integer columns take by themselves.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "twin/sample.hpp"
#include "twin/series/integer_column.hpp"

namespace skerry::twin::series {

/// Bytes of all texts of one chunk; what is to be encoded must hold to it.
inline constexpr std::size_t chunk_text_bytes_max = 64 * 1024;

/// Appends the column. Uses the workspace.
void encode_values(std::span<const StoredSample> samples, Workspace& workspace, std::string& out);

/// Sets the values of `samples`. False: damaged.
bool decode_values(ByteReader& in, Workspace& workspace, std::span<StoredSample> samples);

}  // namespace skerry::twin::series
