// Order and identity of the samples of one series. They are ordered by time, and at one time by
// tie: a hash of type and value. Equal in time, type and value is the same sample, whatever its
// flags; the one that came first stays.
#pragma once

#include <cstdint>
#include <vector>

#include "twin/sample.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin::series {

/// Type of a value as it stands on disk: append, never reorder.
enum class ValueType : std::uint8_t { integer = 0, real = 1, boolean = 2, text = 3 };

inline ValueType type_of(const StoredValue& value) noexcept {
  return static_cast<ValueType>(value.index());
}

/// Numbers are compared by their bits: −0 is not 0, and a NaN is itself.
bool same_value(const StoredValue& left, const StoredValue& right) noexcept;

/// O(length of a text).
std::uint64_t tie_of(const StoredValue& value);

inline SamplePlace place_of(const StoredSample& sample) {
  return {sample.timestamp, tie_of(sample.value)};
}

/// Is `left` before `right`? Hashes only when both are of one time.
inline bool is_before(const StoredSample& left, const StoredSample& right) {
  return left.timestamp != right.timestamp
             ? left.timestamp < right.timestamp
             : !same_value(left.value, right.value) && tie_of(left.value) < tie_of(right.value);
}

/// Sorts and drops those that are there already; returns how many those were. O(n) when sorted.
std::size_t sort_and_collapse(std::vector<StoredSample>& samples);

/// Memory of one sample.
inline std::size_t memory_of(const StoredSample& sample) noexcept {
  const auto* text = std::get_if<std::string>(&sample.value);
  return sizeof(StoredSample) + (text != nullptr ? text->size() : 0);
}

}  // namespace skerry::twin::series
