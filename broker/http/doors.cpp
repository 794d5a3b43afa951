// Two buckets, the one of the address first: a flood from few addresses takes nothing from the
// rest.
#include "http/doors.hpp"

#include <algorithm>
#include <cstring>

namespace skerry::http {

DoorOptions doors_of(const Limits& limits, HashKey hash_key) {
  const auto all = static_cast<double>(limits.http_accepts_per_second);
  return {.accepts = {all, 2 * all},
          .address_accepts = {static_cast<double>(limits.address_accepts_per_second),
                              static_cast<double>(limits.address_accepts_burst)},
          .prefixes = {limits.address_bits_v4, limits.address_bits_v6},
          .hash_key = hash_key};
}

Doors::Doors(const DoorOptions& options)
    : options_(options), addresses_(options.address_accepts, rate_table_entries_max) {}

SteadyTime Doors::opens_at(SteadyTime now) noexcept {
  const SteadyTime opens = accepts_.ready_at(options_.accepts, 1, now);
  if (opens > now) {
    deferred_.fetch_add(1, std::memory_order_relaxed);
  }
  return opens;
}

bool Doors::enter(const boost::asio::ip::tcp::endpoint& peer, SteadyTime now) {
  sockaddr_storage address{};
  std::memcpy(&address, peer.data(), std::min(peer.size(), sizeof address));
  const auto prefix = transport::NetworkPrefix::of(address, options_.prefixes);
  if (!addresses_.take(keyed_hash(options_.hash_key, prefix.bytes()), now)) {
    shed_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  accepts_.charge(options_.accepts, 1, now);
  return true;
}

}  // namespace skerry::http
