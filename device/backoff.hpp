// How long to wait before trying again: exponential, with full jitter, so that a fleet which lost
// its gateway at one moment does not come back at one moment. Randomness is an argument.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/now.hpp"

namespace skerry::agent {

class Backoff {
 public:
  /// Waits lie between 0 and minimum, 2·minimum, 4·minimum … and at last `maximum`.
  Backoff(Milliseconds minimum, Milliseconds maximum) noexcept
      : minimum_(minimum), maximum_(std::max(minimum, maximum)), ceiling_(minimum) {}

  /// The next wait, drawn from `random` (64 bits, uniform).
  Milliseconds next(std::uint64_t random) noexcept {
    const auto span = static_cast<std::uint64_t>(ceiling_.count()) + 1;
    ceiling_ = std::min(maximum_, ceiling_ * 2);
    return Milliseconds{static_cast<std::int64_t>(random % span)};
  }

  /// It went well for long enough.
  void reset() noexcept { ceiling_ = minimum_; }

 private:
  Milliseconds minimum_;
  Milliseconds maximum_;
  Milliseconds ceiling_;
};

}  // namespace skerry::agent
