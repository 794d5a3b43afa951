// Doors of an HTTP port: how many connections come in a second, in all and from one address, before
// TLS and before anything is read. What is too much in all waits in the kernel; what is too much
// from one address is reset. Belongs to the admin loop; the counts may be read by any thread.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>

#include "base/keyed_hash.hpp"
#include "base/limits.hpp"
#include "base/rate_table.hpp"
#include "transport/network_prefix.hpp"

namespace skerry::http {

struct DoorOptions {
  Rate accepts;          ///< in all; none by itself
  Rate address_accepts;  ///< from one address
  transport::PrefixLengths prefixes;
  HashKey hash_key;  ///< not known to peers
};

/// As the configuration says.
DoorOptions doors_of(const Limits& limits, HashKey hash_key);

class Doors {
 public:
  explicit Doors(const DoorOptions& options);

  /// Asked before an accept: `now` when somebody may come, else when to look again.
  SteadyTime opens_at(SteadyTime now) noexcept;

  /// Judges a connection that has been accepted. False: it is to be reset.
  bool enter(const boost::asio::ip::tcp::endpoint& peer, SteadyTime now);

  std::uint64_t shed_count() const noexcept { return shed_.load(std::memory_order_relaxed); }
  std::uint64_t deferred_count() const noexcept {
    return deferred_.load(std::memory_order_relaxed);
  }

 private:
  DoorOptions options_;
  TokenBucket accepts_;
  RateTable addresses_;
  std::atomic<std::uint64_t> shed_{0};
  std::atomic<std::uint64_t> deferred_{0};
};

}  // namespace skerry::http
