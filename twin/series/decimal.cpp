#include "twin/series/decimal.hpp"

#include <bit>
#include <cmath>

namespace skerry::twin::series {
namespace {

/// In place of the number of places: eight bytes follow.
constexpr std::uint8_t raw_number = 0xff;

/// Up to this a double has a half to round by.
constexpr double rounding_max = 4'503'599'627'370'496.0;

/// In the byte of an ExactSum that counts the zeros taken off: a part that is no decimal follows.
constexpr std::uint8_t has_inexact = 0x80;

__extension__ using Wide = __int128;

constexpr bool fits_word(Wide value) noexcept {
  return value <= INT64_MAX && value >= INT64_MIN;
}

struct Trimmed {
  Wide units;
  std::uint8_t zeros;
};

template <typename Integer>
Trimmed trim(Integer units) noexcept {
  std::uint8_t zeros = 0;
  while (zeros < decimal_places_max && units % 10 == 0) {
    units /= 10;
    ++zeros;
  }
  return {units, zeros};
}

/// Billionths without their last decimal zeros, at most nine. Dividing 128 bits is slow, and mostly
/// not needed.
Trimmed without_zeros(Wide billionths) noexcept {
  return fits_word(billionths) ? trim(static_cast<std::int64_t>(billionths)) : trim(billionths);
}

}  // namespace

std::optional<Decimal> decimal_of(double number) noexcept {
  for (unsigned places = 0; places <= decimal_places_max; ++places) {
    const double scaled = number * static_cast<double>(powers_of_ten[places]);
    if (!(std::fabs(scaled) < rounding_max)) {
      return std::nullopt;
    }
    const auto mantissa = static_cast<std::int64_t>(scaled + std::copysign(0.5, scaled));
    const double whole = static_cast<double>(mantissa);
    // Scaling errs by half a unit in the last place: what is further off needs no division.
    if (std::fabs(scaled - whole) > std::fabs(scaled) * 1e-15) {
      continue;
    }
    const double back = whole / static_cast<double>(powers_of_ten[places]);
    if (std::bit_cast<std::uint64_t>(back) == std::bit_cast<std::uint64_t>(number)) {
      return Decimal{mantissa, places};
    }
  }
  return std::nullopt;
}

void ExactSum::add_inexact(double number) noexcept {
  // Knuth's sum with its error, then both made apart again (Dekker).
  const double sum = high_ + number;
  if (!std::isfinite(sum)) {
    high_ = sum;
    low_ = 0;
    return;
  }
  const double part = sum - high_;
  const double error = (high_ - (sum - part)) + (number - part);
  const double low = low_ + error;
  high_ = sum + low;
  low_ = low - (high_ - sum);
}

void ExactSum::add(const Decimal& number) noexcept {
  billionths_ +=
      static_cast<Wide>(number.mantissa) * powers_of_ten[decimal_places_max - number.places];
}

void ExactSum::add(double number) noexcept {
  if (const auto decimal = decimal_of(number)) {
    add(*decimal);
  } else {
    add_inexact(number);
  }
}

void ExactSum::add(std::int64_t number) noexcept {
  billionths_ += static_cast<Wide>(number) * powers_of_ten[decimal_places_max];
}

void ExactSum::add(const ExactSum& other) noexcept {
  billionths_ += other.billionths_;
  if (other.high_ != 0 || other.low_ != 0) {
    add_inexact(other.high_);
    add_inexact(other.low_);
  }
}

double ExactSum::value() const noexcept {
  const auto [units, zeros] = without_zeros(billionths_);
  const double decimal =
      static_cast<double>(units) / static_cast<double>(powers_of_ten[decimal_places_max - zeros]);
  return high_ == 0 && low_ == 0 ? decimal : decimal + (high_ + low_);
}

void ExactSum::append_to(std::string& out) const {
  const auto [units, zeros] = without_zeros(billionths_);
  const bool inexact = high_ != 0 || low_ != 0;
  out.push_back(static_cast<char>(zeros | (inexact ? has_inexact : 0)));
  auto rest = (static_cast<WideUnsigned>(units) << 1) ^ static_cast<WideUnsigned>(units >> 127);
  while (rest >= 0x80) {
    out.push_back(static_cast<char>(static_cast<std::uint8_t>(rest) | 0x80));
    rest >>= 7;
  }
  out.push_back(static_cast<char>(rest));
  if (inexact) {
    append_word(out, std::bit_cast<std::uint64_t>(high_));
    append_word(out, std::bit_cast<std::uint64_t>(low_));
  }
}

ExactSum ExactSum::read(ByteReader& in) noexcept {
  const std::uint8_t head = in.byte();
  const unsigned zeros = head & ~has_inexact;
  if (zeros > decimal_places_max) {
    in.fail();
    return {};
  }
  WideUnsigned rest = 0;
  for (unsigned shift = 0; shift < 128; shift += 7) {
    const std::uint8_t next = in.byte();
    rest |= static_cast<WideUnsigned>(next & 0x7f) << shift;
    if (next < 0x80) {
      break;
    }
  }
  ExactSum sum;
  // Unsigned, so that a damaged number wraps.
  const WideUnsigned units = (rest >> 1) ^ (~(rest & 1) + 1);
  sum.billionths_ = static_cast<Wide>(units * static_cast<WideUnsigned>(powers_of_ten[zeros]));
  if ((head & has_inexact) != 0) {
    sum.high_ = std::bit_cast<double>(in.word());
    sum.low_ = std::bit_cast<double>(in.word());
  }
  return sum;
}

std::optional<std::int64_t> ExactSum::in_places(unsigned places) const noexcept {
  const std::int64_t unit = powers_of_ten[decimal_places_max - places];
  const Wide units =
      fits_word(billionths_) ? static_cast<std::int64_t>(billionths_) / unit : billionths_ / unit;
  if (high_ != 0 || low_ != 0 || units * unit != billionths_ || !fits_word(units)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(units);
}

ExactSum ExactSum::of_places(std::int64_t units, unsigned places) noexcept {
  ExactSum sum;
  sum.billionths_ = static_cast<Wide>(units) * powers_of_ten[decimal_places_max - places];
  return sum;
}

void append_number(std::string& out, double number) {
  if (const auto decimal = decimal_of(number)) {
    out.push_back(static_cast<char>(decimal->places));
    append_signed(out, decimal->mantissa);
    return;
  }
  out.push_back(static_cast<char>(raw_number));
  append_word(out, std::bit_cast<std::uint64_t>(number));
}

double read_number(ByteReader& in) noexcept {
  const std::uint8_t places = in.byte();
  if (places == raw_number) {
    return std::bit_cast<double>(in.word());
  }
  if (places > decimal_places_max) {
    in.fail();
    return 0;
  }
  return real_of(in.signed_varint(), places);
}

}  // namespace skerry::twin::series
