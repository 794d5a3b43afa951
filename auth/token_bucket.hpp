// TokenBucket: so many a second on average, so many at once at most.
#pragma once

#include <algorithm>
#include <mutex>

#include "base/now.hpp"

namespace skerry::auth {

/// Thread-safe.
class TokenBucket {
 public:
  TokenBucket(double per_second, double burst)
      : per_second_(per_second), burst_(burst), tokens_(burst) {}

  /// Takes a token if there is one.
  [[nodiscard]] bool take(SteadyTime now) {
    const std::lock_guard lock{mutex_};
    if (now > filled_) {
      // The first call finds the bucket full whatever the clock's origin is.
      const std::chrono::duration<double> passed = now - filled_;
      tokens_ = std::min(burst_, tokens_ + passed.count() * per_second_);
      filled_ = now;
    }
    if (tokens_ < 1.0) {
      return false;
    }
    tokens_ -= 1.0;
    return true;
  }

 private:
  const double per_second_;
  const double burst_;
  std::mutex mutex_;
  double tokens_;
  SteadyTime filled_{};
};

}  // namespace skerry::auth
