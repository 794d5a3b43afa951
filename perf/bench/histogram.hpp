// A log-linear histogram of durations: 64 steps for each power of two, so a quantile is at most
// 1.6 % above the truth, from a nanosecond to centuries, in 30 kB.
#pragma once

#include <array>
#include <cstdint>

namespace skerry::bench {

class Histogram {
 public:
  /// Negative durations count as zero.
  void add(std::int64_t nanoseconds) noexcept;
  void add(const Histogram& other) noexcept;
  void clear() noexcept { *this = Histogram(); }

  std::uint64_t count() const noexcept { return count_; }
  std::int64_t max() const noexcept { return max_; }
  double mean() const noexcept;
  /// The upper end of the step in which the quantile (0 … 1) lies; 0 when nothing was added.
  std::int64_t quantile(double quantile) const noexcept;

 private:
  static constexpr unsigned step_bits = 6;
  static constexpr std::size_t steps = std::size_t{64 - step_bits + 1} << step_bits;

  static std::size_t step_of(std::uint64_t value) noexcept;
  static std::uint64_t upper_end(std::size_t step) noexcept;

  std::array<std::uint64_t, steps> counts_{};
  std::uint64_t count_ = 0;
  std::int64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace skerry::bench
