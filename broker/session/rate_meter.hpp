// RateMeter: what one client may send in a second. What is over has been sent already, so it is
// charged, and the client is held until that is paid back; nothing is thrown away.
#pragma once

#include <algorithm>

#include "base/limits.hpp"
#include "base/token_bucket.hpp"

namespace skerry::session {

class RateMeter {
 public:
  explicit RateMeter(const RateLimits& limits, SteadyTime now) noexcept
      : messages_(rate(static_cast<double>(limits.messages_per_second))),
        bytes_(rate(static_cast<double>(limits.bytes_per_second))),
        message_bucket_(now),
        byte_bucket_(now),
        policy_(limits.policy) {}

  static bool is_needed(const RateLimits& limits) noexcept {
    return limits.messages_per_second != 0 || limits.bytes_per_second != 0;
  }

  RatePolicy policy() const noexcept { return policy_; }

  /// Counts one packet. False: the client is over its rate until resumes_at().
  bool count(std::size_t bytes, SteadyTime now) noexcept {
    message_bucket_.charge(messages_, 1, now);
    byte_bucket_.charge(bytes_, static_cast<double>(bytes), now);
    resumes_at_ = std::max(message_bucket_.ready_at(messages_, 0, now),
                           byte_bucket_.ready_at(bytes_, 0, now));
    return resumes_at_ <= now;
  }

  SteadyTime resumes_at() const noexcept { return resumes_at_; }

 private:
  static Rate rate(double per_second) noexcept { return {per_second, 2 * per_second}; }

  Rate messages_;
  Rate bytes_;
  TokenBucket message_bucket_;
  TokenBucket byte_bucket_;
  SteadyTime resumes_at_{};
  RatePolicy policy_;
};

}  // namespace skerry::session
