// Gorilla: doubles that are no decimals, each xored with the one before; only the bits that changed
// are kept. Pelkonen and others, "Gorilla: A Fast, Scalable, In-Memory Time Series Database", 2015,
// section 4.1.2, with six bits for the leading zeros:
//   0                     the same again
//   1 0 bits              the changed bits lie where they lay last time
//   1 1 zeros(6) size−1(6) bits
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "twin/series/bytes.hpp"

namespace skerry::twin::series {

/// Appends size (varint) and the bits.
void encode_gorilla(std::span<const std::uint64_t> values, std::string& out);

/// Appends `count` values to `out`. False: damaged.
bool decode_gorilla(ByteReader& in, std::size_t count, std::vector<std::uint64_t>& out);

}  // namespace skerry::twin::series
