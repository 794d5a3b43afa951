// Times that are kept whole, so that a percentile is exact.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace skerry::flood {

class Latencies {
 public:
  void add(std::int64_t nanoseconds) { values_.push_back(nanoseconds); }
  std::size_t count() const { return values_.size(); }
  /// In milliseconds; 0 without values. Sorts.
  double quantile(double part) {
    if (values_.empty()) {
      return 0;
    }
    std::sort(values_.begin(), values_.end());
    const auto index = static_cast<std::size_t>(part * static_cast<double>(values_.size()));
    return static_cast<double>(values_[std::min(index, values_.size() - 1)]) / 1e6;
  }

 private:
  std::vector<std::int64_t> values_;
};

}  // namespace skerry::flood
