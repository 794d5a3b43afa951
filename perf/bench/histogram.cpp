#include "histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace skerry::bench {

// Values below 2^step_bits have a step each; above, the exponent chooses a run of steps and the
// step_bits bits behind the leading one choose among them.
std::size_t Histogram::step_of(std::uint64_t value) noexcept {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  if (width <= step_bits) {
    return value;
  }
  const unsigned shift = width - 1 - step_bits;
  const std::uint64_t within = (value >> shift) - (std::uint64_t{1} << step_bits);
  return (static_cast<std::size_t>(shift + 1) << step_bits) + within;
}

std::uint64_t Histogram::upper_end(std::size_t step) noexcept {
  const std::size_t run = step >> step_bits;
  if (run == 0) {
    return step;
  }
  const std::uint64_t within = step & ((std::size_t{1} << step_bits) - 1);
  const unsigned shift = static_cast<unsigned>(run - 1);
  const std::uint64_t first = ((std::uint64_t{1} << step_bits) + within) << shift;
  return first + (std::uint64_t{1} << shift) - 1;
}

void Histogram::add(std::int64_t nanoseconds) noexcept {
  const std::int64_t value = std::max<std::int64_t>(nanoseconds, 0);
  ++counts_[step_of(static_cast<std::uint64_t>(value))];
  ++count_;
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
}

void Histogram::add(const Histogram& other) noexcept {
  for (std::size_t step = 0; step < steps; ++step) {
    counts_[step] += other.counts_[step];
  }
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double Histogram::mean() const noexcept {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

std::int64_t Histogram::quantile(double quantile) const noexcept {
  const auto wanted = static_cast<std::uint64_t>(
      std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t step = 0; step < steps && count_ > 0; ++step) {
    seen += counts_[step];
    if (seen >= std::max<std::uint64_t>(wanted, 1)) {
      return std::min(static_cast<std::int64_t>(upper_end(step)), max_);
    }
  }
  return 0;
}

}  // namespace skerry::bench
