#include "twin/series/rollup.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"
#include "twin/series/gorilla.hpp"

namespace skerry::twin::series {
namespace {

enum class Form : std::uint8_t { decimal, gorilla };

constexpr std::size_t buckets_max(Level level) noexcept {
  return static_cast<std::size_t>(block_length(level) / bucket_length(level));
}

/// One bucket as integers of a common power of ten.
struct Mantissas {
  std::int64_t minimum;
  std::int64_t maximum;
  std::int64_t first;
  std::int64_t last;
  std::int64_t sum;
};

bool take_places(double number, unsigned& places) noexcept {
  const auto decimal = decimal_of(number);
  if (!decimal) {
    return false;
  }
  places = std::max(places, decimal->places);
  return true;
}

bool scale(double number, unsigned places, std::int64_t& out) noexcept {
  const auto decimal = decimal_of(number);
  const std::int64_t factor = powers_of_ten[places - decimal->places];
  if (decimal->mantissa > exact_integer_max / factor ||
      decimal->mantissa < -exact_integer_max / factor) {
    return false;
  }
  out = decimal->mantissa * factor;
  return true;
}

/// The least power of ten in which all numbers of all buckets are whole; nullopt: there is none.
std::optional<unsigned> common_places(std::span<const RollupBucket> buckets) noexcept {
  unsigned places = 0;
  for (const RollupBucket& bucket : buckets) {
    const Totals& totals = bucket.totals;
    if (totals.numbers == 0) {
      continue;
    }
    if (!take_places(totals.minimum, places) || !take_places(totals.maximum, places) ||
        !take_places(totals.first, places) || !take_places(totals.last, places)) {
      return std::nullopt;
    }
    while (!totals.sum.in_places(places)) {
      if (++places > decimal_places_max) {
        return std::nullopt;
      }
    }
  }
  return places;
}

bool take_mantissas(const Totals& totals, unsigned places, Mantissas& out) noexcept {
  const auto sum = totals.sum.in_places(places);
  if (!sum) {
    return false;
  }
  out.sum = *sum;
  return scale(totals.minimum, places, out.minimum) && scale(totals.maximum, places, out.maximum) &&
         scale(totals.first, places, out.first) && scale(totals.last, places, out.last);
}

/// Of what a bucket sums to when all its numbers are the first; wraps, and so does who undoes it.
std::int64_t flat_sum(std::uint64_t numbers, std::int64_t first) noexcept {
  return static_cast<std::int64_t>(numbers * static_cast<std::uint64_t>(first));
}

std::int64_t wrapping_subtract(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) -
                                   static_cast<std::uint64_t>(right));
}

std::int64_t wrapping_add(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) +
                                   static_cast<std::uint64_t>(right));
}

constexpr std::size_t decimal_columns = 5;

/// The columns of the decimal form, in the order of the file's head.
std::array<std::int64_t, decimal_columns> columns_of(const Mantissas& m,
                                                     std::uint64_t numbers) noexcept {
  return {m.first, m.last - m.first, std::min(m.first, m.last) - m.minimum,
          m.maximum - std::max(m.first, m.last),
          wrapping_subtract(m.sum, flat_sum(numbers, m.first))};
}

bool encode_decimal(std::span<const RollupBucket> buckets, Workspace& workspace, std::string& out) {
  const auto places = common_places(buckets);
  if (!places) {
    return false;
  }
  std::vector<std::array<std::int64_t, decimal_columns>> rows;
  rows.reserve(buckets.size());
  for (const RollupBucket& bucket : buckets) {
    Mantissas mantissas{};
    if (bucket.totals.numbers > 0 && !take_mantissas(bucket.totals, *places, mantissas)) {
      return false;
    }
    rows.push_back(columns_of(mantissas, bucket.totals.numbers));
  }
  out.push_back(static_cast<char>(Form::decimal));
  out.push_back(static_cast<char>(*places));
  for (std::size_t column = 0; column < decimal_columns; ++column) {
    workspace.integers.clear();
    for (const auto& row : rows) {
      workspace.integers.push_back(row[column]);
    }
    encode_integers(workspace.integers, TryZstd::no, workspace, out);
  }
  return true;
}

constexpr std::array<double Totals::*, 4> number_columns = {&Totals::minimum, &Totals::maximum,
                                                            &Totals::first, &Totals::last};

void encode_gorilla_form(std::span<const RollupBucket> buckets, std::string& out) {
  out.push_back(static_cast<char>(Form::gorilla));
  std::vector<std::uint64_t> patterns;
  for (const auto column : number_columns) {
    patterns.clear();
    for (const RollupBucket& bucket : buckets) {
      patterns.push_back(std::bit_cast<std::uint64_t>(bucket.totals.*column));
    }
    encode_gorilla(patterns, out);
  }
  for (const RollupBucket& bucket : buckets) {
    bucket.totals.sum.append_to(out);
  }
}

bool decode_decimal(ByteReader& in, Workspace& workspace, std::span<RollupBucket> buckets) {
  const unsigned places = in.byte();
  if (places > decimal_places_max) {
    return false;
  }
  std::array<std::vector<std::int64_t>, decimal_columns> columns;
  for (auto& column : columns) {
    if (!decode_integers(in, buckets.size(), workspace, column)) {
      return false;
    }
  }
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    Totals& totals = buckets[i].totals;
    if (totals.numbers == 0) {
      continue;
    }
    const std::int64_t first = columns[0][i];
    const std::int64_t last = wrapping_add(first, columns[1][i]);
    totals.first = real_of(first, places);
    totals.last = real_of(last, places);
    totals.minimum = real_of(wrapping_subtract(std::min(first, last), columns[2][i]), places);
    totals.maximum = real_of(wrapping_add(std::max(first, last), columns[3][i]), places);
    totals.sum =
        ExactSum::of_places(wrapping_add(flat_sum(totals.numbers, first), columns[4][i]), places);
  }
  return true;
}

bool decode_gorilla_form(ByteReader& in, std::span<RollupBucket> buckets) {
  std::vector<std::uint64_t> patterns;
  for (const auto column : number_columns) {
    patterns.clear();
    if (!decode_gorilla(in, buckets.size(), patterns)) {
      return false;
    }
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      buckets[i].totals.*column = std::bit_cast<double>(patterns[i]);
    }
  }
  for (RollupBucket& bucket : buckets) {
    bucket.totals.sum = ExactSum::read(in);
  }
  return in.ok();
}

void encode_counts(std::span<const RollupBucket> buckets, RollupPlace place, Workspace& workspace,
                   std::string& out) {
  std::vector<std::int64_t>& column = workspace.integers;
  column.clear();
  for (const RollupBucket& bucket : buckets) {
    column.push_back((bucket.start - place.block) / bucket_length(place.level));
  }
  encode_integers(column, TryZstd::no, workspace, out);
  column.clear();
  for (const RollupBucket& bucket : buckets) {
    column.push_back(static_cast<std::int64_t>(bucket.totals.count));
  }
  encode_integers(column, TryZstd::no, workspace, out);
  column.clear();
  for (const RollupBucket& bucket : buckets) {
    column.push_back(static_cast<std::int64_t>(bucket.totals.count - bucket.totals.numbers));
  }
  encode_integers(column, TryZstd::no, workspace, out);
}

bool decode_counts(ByteReader& in, RollupPlace place, Workspace& workspace,
                   std::span<RollupBucket> buckets) {
  std::vector<std::int64_t>& column = workspace.others;
  if (!decode_integers(in, buckets.size(), workspace, column)) {
    return false;
  }
  std::int64_t before = -1;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    if (column[i] <= before || column[i] >= static_cast<std::int64_t>(buckets_max(place.level))) {
      return false;
    }
    before = column[i];
    buckets[i].start = place.block + column[i] * bucket_length(place.level);
  }
  if (!decode_integers(in, buckets.size(), workspace, column)) {
    return false;
  }
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    buckets[i].totals.count = static_cast<std::uint64_t>(column[i]);
  }
  if (!decode_integers(in, buckets.size(), workspace, column)) {
    return false;
  }
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const std::uint64_t count = buckets[i].totals.count;
    const auto others = static_cast<std::uint64_t>(column[i]);
    if (count == 0 || others > count) {
      return false;
    }
    buckets[i].totals.numbers = count - others;
  }
  return true;
}

}  // namespace

void encode_rollup(std::span<const RollupBucket> buckets, RollupPlace place, Workspace& workspace,
                   std::string& out) {
  SKERRY_ASSERT(!buckets.empty() && buckets.size() <= buckets_max(place.level));
  out.push_back(static_cast<char>(rollup_version));
  append_varint(out, buckets.size());
  encode_counts(buckets, place, workspace, out);
  if (!encode_decimal(buckets, workspace, out)) {
    encode_gorilla_form(buckets, out);
  }
}

bool decode_rollup(std::string_view record, RollupPlace place, Workspace& workspace,
                   std::vector<RollupBucket>& out) {
  ByteReader in(record);
  if (in.byte() != rollup_version) {
    return false;
  }
  const std::uint64_t count = in.varint();
  // A damaged key could name a block at the end of time.
  const std::int64_t length = block_length(place.level);
  if (!in.ok() || count == 0 || count > buckets_max(place.level) ||
      place.block > INT64_MAX - length) {
    return false;
  }
  const std::size_t before = out.size();
  out.resize(before + static_cast<std::size_t>(count));
  const std::span<RollupBucket> buckets = std::span(out).subspan(before);
  if (!decode_counts(in, place, workspace, buckets)) {
    return false;
  }
  switch (static_cast<Form>(in.byte())) {
    case Form::decimal:
      return decode_decimal(in, workspace, buckets) && in.ok() && in.at_end();
    case Form::gorilla:
      return decode_gorilla_form(in, buckets) && in.at_end();
  }
  return false;
}

}  // namespace skerry::twin::series
