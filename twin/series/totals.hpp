// Totals: what an aggregate is made of, in a form that can be added up from parts: samples, chunk
// headers, roll-ups. Parts are added in the order of time, since first and last depend on it.
#pragma once

#include <cstdint>

#include "twin/sample.hpp"
#include "twin/series/decimal.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin::series {

struct Totals {
  std::uint64_t count = 0;
  std::uint64_t numbers = 0;
  double minimum = 0;
  double maximum = 0;
  double first = 0;
  double last = 0;
  ExactSum sum;

  /// A text, an infinity and a NaN count but are no number.
  void add(const StoredValue& value) noexcept;
  void add(const Totals& later) noexcept;
  Aggregate aggregate() const noexcept {
    return {count, numbers, minimum, maximum, sum.value(), first, last};
  }
  friend bool operator==(const Totals&, const Totals&) = default;
};

/// count (varint) · numbers (varint) · unless that is 0: minimum maximum first last sum
void append_totals(std::string& out, const Totals& totals);
Totals read_totals(ByteReader& in) noexcept;

}  // namespace skerry::twin::series
