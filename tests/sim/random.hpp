// Random: the one source of chance in a simulated world (SplitMix64). The same seed gives the same
// numbers on every machine, which the distributions of the standard library do not promise.
#pragma once

#include <cstdint>

namespace skerry::sim {

/// Virtual time: microseconds since the world began.
using Time = std::int64_t;
inline constexpr Time never = INT64_MAX;
inline constexpr Time millisecond = 1000;
inline constexpr Time second = 1'000'000;

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }
  /// 0 … sides − 1; `sides` > 0.
  std::uint64_t below(std::uint64_t sides) noexcept { return next() % sides; }
  /// True in `per_mille` of 1000 calls.
  bool chance(std::uint64_t per_mille) noexcept { return below(1000) < per_mille; }
  /// lowest … highest, both included.
  std::int64_t between(std::int64_t lowest, std::int64_t highest) noexcept {
    return lowest +
           static_cast<std::int64_t>(below(static_cast<std::uint64_t>(highest - lowest) + 1));
  }

 private:
  std::uint64_t state_;
};

}  // namespace skerry::sim
