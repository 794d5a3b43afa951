// AttemptLimiter: token buckets per address and in total.
#include "auth/attempt_limiter.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cmath>

namespace skerry::auth {

std::string address_group(std::string_view address) {
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(std::string{address}, error);
  if (error || !parsed.is_v6()) {
    return std::string{address};
  }
  // Of a socket for both families; all of IPv4 is one /64 there.
  if (parsed.to_v6().is_v4_mapped()) {
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, parsed.to_v6()).to_string();
  }
  const auto bytes = parsed.to_v6().to_bytes();
  return "v6/" + std::string(bytes.begin(), bytes.begin() + 8);
}

void AttemptLimiter::refill(Bucket& bucket, double burst, double each_second, SteadyTime now) {
  const std::chrono::duration<double> passed = now - bucket.refilled;
  bucket.level = std::min(burst, bucket.level + std::max(0.0, passed.count()) * each_second);
  bucket.refilled = now;
}

void AttemptLimiter::forget_idle(SteadyTime now) {
  for (auto it = addresses_.begin(); it != addresses_.end();) {
    refill(it->second, limits_.per_address_burst, limits_.per_address_each_second, now);
    it = it->second.level >= limits_.per_address_burst ? addresses_.erase(it) : std::next(it);
  }
}

std::optional<std::chrono::seconds> AttemptLimiter::begin(std::string_view address,
                                                          SteadyTime now) {
  const auto wait = [](const Bucket& bucket, double each_second) {
    return std::chrono::seconds{
        static_cast<std::int64_t>(std::ceil((1 - bucket.level) / each_second))};
  };
  if (!total_) {
    total_ = Bucket{limits_.total_burst, now};
  }
  refill(*total_, limits_.total_burst, limits_.total_each_second, now);
  const std::string group = address_group(address);
  auto it = addresses_.find(group);
  if (it == addresses_.end()) {
    if (addresses_.size() >= limits_.addresses_max) {
      forget_idle(now);
    }
    if (addresses_.size() >= limits_.addresses_max) {
      return std::chrono::seconds{60};
    }
    it = addresses_.emplace(group, Bucket{limits_.per_address_burst, now}).first;
  }
  Bucket& bucket = it->second;
  refill(bucket, limits_.per_address_burst, limits_.per_address_each_second, now);
  if (bucket.level < 1) {
    return wait(bucket, limits_.per_address_each_second);
  }
  if (total_->level < 1) {
    return wait(*total_, limits_.total_each_second);
  }
  bucket.level -= 1;
  total_->level -= 1;
  return std::nullopt;
}

void AttemptLimiter::succeeded(std::string_view address) {
  if (const auto it = addresses_.find(address_group(address)); it != addresses_.end()) {
    it->second.level = std::min(limits_.per_address_burst, it->second.level + 1);
  }
  if (total_) {
    total_->level = std::min(limits_.total_burst, total_->level + 1);
  }
}

}  // namespace skerry::auth
