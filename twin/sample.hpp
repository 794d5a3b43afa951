// What one reading is: a key, an instant, a value and flags. The forms differ only in who owns the
// text: a Sample shows bytes of the message it was parsed from, a StoredSample owns what was read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace skerry::twin {

/// Bits of `flags`. The numbers are on disk: append, never reorder.
enum class SampleFlag : std::uint8_t {
  clock_skew = 1,  ///< the device's time lay outside −30 d … +5 min of the arrival
};

inline constexpr std::uint8_t sample_flag(SampleFlag flag) noexcept {
  return static_cast<std::uint8_t>(flag);
}

/// How far a device's clock may be off before its samples are flagged.
inline constexpr std::int64_t clock_behind_max_milliseconds = 30LL * 24 * 3600 * 1000;
inline constexpr std::int64_t clock_ahead_max_milliseconds = 5LL * 60 * 1000;

/// First and last millisecond of the years 1 … 9999, what RFC 3339 can write.
inline constexpr std::int64_t timestamp_min = -62'135'596'800'000;
inline constexpr std::int64_t timestamp_max = 253'402'300'799'999;

using Value = std::variant<std::int64_t, double, bool, std::string_view>;
using StoredValue = std::variant<std::int64_t, double, bool, std::string>;

struct Sample {
  std::string_view key;        ///< flattened with '.', no control characters, valid UTF-8
  std::int64_t timestamp = 0;  ///< epoch milliseconds, in the years 1 … 9999
  Value value;
  std::uint8_t flags = 0;
};

struct StoredSample {
  std::int64_t timestamp = 0;
  StoredValue value;
  std::uint8_t flags = 0;
};

}  // namespace skerry::twin
