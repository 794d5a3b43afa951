#include "twin/series/totals.hpp"

#include <algorithm>
#include <cmath>

namespace skerry::twin::series {

void Totals::add(const StoredValue& value) noexcept {
  ++count;
  double number = 0;
  if (const auto* real = std::get_if<double>(&value)) {
    if (!std::isfinite(*real)) {
      return;
    }
    number = *real;
    sum.add(number);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    number = static_cast<double>(*integer);
    sum.add(*integer);
  } else if (const auto* boolean = std::get_if<bool>(&value)) {
    number = *boolean ? 1 : 0;
    sum.add(std::int64_t{*boolean ? 1 : 0});
  } else {
    return;
  }
  minimum = numbers == 0 ? number : std::min(minimum, number);
  maximum = numbers == 0 ? number : std::max(maximum, number);
  first = numbers == 0 ? number : first;
  last = number;
  ++numbers;
}

void Totals::add(const Totals& later) noexcept {
  count += later.count;
  if (later.numbers == 0) {
    return;
  }
  minimum = numbers == 0 ? later.minimum : std::min(minimum, later.minimum);
  maximum = numbers == 0 ? later.maximum : std::max(maximum, later.maximum);
  first = numbers == 0 ? later.first : first;
  last = later.last;
  sum.add(later.sum);
  numbers += later.numbers;
}

void append_totals(std::string& out, const Totals& totals) {
  append_varint(out, totals.count);
  append_varint(out, totals.numbers);
  if (totals.numbers == 0) {
    return;
  }
  append_number(out, totals.minimum);
  append_number(out, totals.maximum);
  append_number(out, totals.first);
  append_number(out, totals.last);
  totals.sum.append_to(out);
}

Totals read_totals(ByteReader& in) noexcept {
  Totals totals;
  totals.count = in.varint();
  totals.numbers = in.varint();
  if (totals.numbers == 0) {
    return totals;
  }
  totals.minimum = read_number(in);
  totals.maximum = read_number(in);
  totals.first = read_number(in);
  totals.last = read_number(in);
  totals.sum = ExactSum::read(in);
  return totals;
}

}  // namespace skerry::twin::series
