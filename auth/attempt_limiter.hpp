// AttemptLimiter: how often a password may be guessed, per address and in total. Each guess costs
// the server 20 ms and 19 MiB, so it is charged before it is looked at and given back when right.
// Belongs to the admin loop; kept in memory only.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/now.hpp"

namespace skerry::auth {

struct AttemptLimits {
  double per_address_burst = 5;
  double per_address_each_second = 1.0 / 12;
  double total_burst = 50;
  double total_each_second = 2;
  std::size_t addresses_max = 10'000;
};

class AttemptLimiter {
 public:
  explicit AttemptLimiter(AttemptLimits limits = {}) : limits_(limits) {}

  /// Takes one attempt; a value is how long to wait instead. IPv6 addresses count by their /64.
  /// O(log addresses), now and then O(addresses).
  std::optional<std::chrono::seconds> begin(std::string_view address, SteadyTime now);

  /// The attempt was right: gives it back.
  void succeeded(std::string_view address);

 private:
  struct Bucket {
    double level = 0;  ///< attempts that may still be made
    SteadyTime refilled{};
  };
  static void refill(Bucket& bucket, double burst, double each_second, SteadyTime now);
  void forget_idle(SteadyTime now);

  AttemptLimits limits_;
  std::optional<Bucket> total_;
  std::map<std::string, Bucket, std::less<>> addresses_;
};

/// The part of an address that one household has: all of IPv4, the first 64 bits of IPv6.
std::string address_group(std::string_view address);

}  // namespace skerry::auth
