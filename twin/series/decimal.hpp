// Numbers as people and sensors write them: 21.5 is 215 tenths. Decimals make small columns, and
// sums that do not depend on the order of their parts, which roll-ups need.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "twin/series/bytes.hpp"

namespace skerry::twin::series {

inline constexpr unsigned decimal_places_max = 9;
inline constexpr std::array<std::int64_t, decimal_places_max + 1> powers_of_ten = {
    1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

/// Integers up to this are doubles without loss.
inline constexpr std::int64_t exact_integer_max = std::int64_t{1} << 53;

struct Decimal {
  std::int64_t mantissa = 0;
  unsigned places = 0;  ///< digits behind the point, the least that will do
};

/// The decimal whose nearest double is exactly `number`; nullopt when there is none of at most
/// decimal_places_max places (irrational looking values, −0, infinities, NaN).
std::optional<Decimal> decimal_of(double number) noexcept;

/// The double nearest to mantissa / 10^places.
inline double real_of(std::int64_t mantissa, unsigned places) noexcept {
  return static_cast<double>(mantissa) / static_cast<double>(powers_of_ten[places]);
}

/// A sum that is the same in whatever order and grouping its parts are added. Decimals and integers
/// are added exactly. Other doubles are added with twice the precision of a double, which is exact
/// as long as their magnitudes do not differ by more than some 2^40.
class ExactSum {
 public:
  /// A finite number.
  void add(double number) noexcept;
  void add(std::int64_t number) noexcept;
  void add(const Decimal& number) noexcept;
  void add(const ExactSum& other) noexcept;

  /// The sum as the nearest double, or one next to it.
  double value() const noexcept;

  void append_to(std::string& out) const;
  static ExactSum read(ByteReader& in) noexcept;

  /// The decimal part in units of 10^-places when that is exact and fits, and there is no other
  /// part.
  std::optional<std::int64_t> in_places(unsigned places) const noexcept;
  static ExactSum of_places(std::int64_t units, unsigned places) noexcept;

  friend bool operator==(const ExactSum&, const ExactSum&) = default;

 private:
  __extension__ using Wide = __int128;
  __extension__ using WideUnsigned = unsigned __int128;
  void add_inexact(double number) noexcept;

  Wide billionths_ = 0;
  double high_ = 0;
  double low_ = 0;
};

/// The decimal form when there is one, eight bytes otherwise.
void append_number(std::string& out, double number);
double read_number(ByteReader& in) noexcept;

}  // namespace skerry::twin::series
