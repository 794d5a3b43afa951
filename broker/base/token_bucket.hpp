// TokenBucket: how much of something may happen in a time. A bucket holds at most `burst` tokens
// and is filled at `per_second`; the rate is an argument, so many buckets share one. Time is an
// argument too: a clock that stands still or goes back fills nothing, one that jumps fills to the
// brim.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/now.hpp"

namespace skerry {

/// Tokens a second and the most that may be kept. `per_second` 0: no limit at all.
struct Rate {
  double per_second = 0;
  double burst = 0;

  bool unlimited() const noexcept { return per_second <= 0; }
};

/// Full when it is made. Sixteen bytes.
class TokenBucket {
 public:
  explicit TokenBucket(SteadyTime now = {}) noexcept : refilled_(now) {}

  /// Takes `amount` when it is there; nothing otherwise. True without a limit.
  bool take(Rate rate, double amount, SteadyTime now) noexcept {
    if (rate.unlimited()) {
      return true;
    }
    refill(rate, now);
    if (rate.burst - spent_ < amount) {
      return false;
    }
    spent_ += amount;
    return true;
  }

  /// Takes `amount` even when it is not there: what has happened already is paid back later.
  void charge(Rate rate, double amount, SteadyTime now) noexcept {
    if (!rate.unlimited()) {
      refill(rate, now);
      spent_ += amount;
    }
  }

  /// When `amount` will be there; `now` when it is. SteadyTime::max() when it never fits.
  SteadyTime ready_at(Rate rate, double amount, SteadyTime now) noexcept {
    if (rate.unlimited()) {
      return now;
    }
    if (amount > rate.burst) {
      return SteadyTime::max();
    }
    refill(rate, now);
    const double missing = amount - (rate.burst - spent_);
    if (missing <= 0) {
      return now;
    }
    // A moment more than needed, so that rounding makes nobody wake up too early and wait again.
    const std::chrono::duration<double> wait(missing / rate.per_second);
    return refilled_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait) +
           std::chrono::microseconds(1);
  }

  /// Is it as good as a new one? Then forgetting it gives nothing away.
  bool full(Rate rate, SteadyTime now) noexcept {
    refill(rate, now);
    return rate.unlimited() || spent_ <= 0;
  }

 private:
  void refill(Rate rate, SteadyTime now) noexcept {
    if (now > refilled_) {
      const std::chrono::duration<double> passed = now - refilled_;
      spent_ = std::max(0.0, spent_ - passed.count() * rate.per_second);
      refilled_ = now;
    }
  }

  double spent_ = 0;  // so that a bucket is full whatever the burst
  SteadyTime refilled_;
};

}  // namespace skerry
