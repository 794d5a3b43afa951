// What the tests of the series store share: samples of the shapes that devices send.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "twin/series_store.hpp"

namespace skerry::twin::series::test {

inline constexpr std::int64_t start_time = 1'700'000'000'000;

/// `count` samples, one in ten seconds give or take `jitter` milliseconds.
inline std::vector<StoredSample> samples_of(std::size_t count, int jitter,
                                            const std::function<StoredValue(std::size_t)>& value) {
  std::mt19937 random(7);
  std::vector<StoredSample> samples;
  for (std::size_t i = 0; i < count; ++i) {
    const int off =
        jitter == 0 ? 0
                    : static_cast<int>(random() % (2 * static_cast<unsigned>(jitter) + 1)) - jitter;
    samples.push_back({start_time + 10'000 * static_cast<std::int64_t>(i) + off, value(i), 0});
  }
  return samples;
}

/// A temperature in tenths of a degree that moves a step up or down, or not.
inline std::function<StoredValue(std::size_t)> temperature() {
  return [random = std::mt19937(3), tenths = std::int64_t{215}](std::size_t) mutable {
    const unsigned step = static_cast<unsigned>(random() % 10);
    tenths += step < 4 ? 0 : (step < 7 ? 1 : -1);
    return StoredValue(static_cast<double>(tenths) / 10);
  };
}

}  // namespace skerry::twin::series::test
