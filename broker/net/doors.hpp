// Doors: what all cores of a server agree on before anything is done for a new connection: how many
// come in a second, how many there are in all, on a listener and from an address, and whether
// anybody may come at all. Any thread; its one lock is held for a table look-up.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/counters.hpp"
#include "base/limits.hpp"
#include "base/rate_table.hpp"

namespace skerry::net {

class Doors;

/// The stable name of a reason, as metrics and the log show it.
const char* name_of(ShedReason reason) noexcept;

/// The place of one open connection; gives it back when it ends. Must not outlive the Doors.
class Place {
 public:
  Place() = default;
  Place(Place&& other) noexcept
      : doors_(std::exchange(other.doors_, nullptr)),
        listener_(other.listener_),
        address_(other.address_) {}
  Place& operator=(Place&& other) noexcept {
    std::swap(doors_, other.doors_);
    std::swap(listener_, other.listener_);
    std::swap(address_, other.address_);
    return *this;
  }
  ~Place();

 private:
  friend class Doors;
  Doors* doors_ = nullptr;
  std::uint32_t listener_ = 0;
  RateTable::Handle address_ = 0;
};

class Doors {
 public:
  struct Options {
    std::uint32_t connections_max = 0;                    ///< in all
    std::vector<std::uint32_t> listener_connections_max;  ///< by index; 0: any number
  };
  Doors(const Limits& limits, Options options);

  /// Asked before accept(): `now` when somebody may come, else when to look again. Takes nothing.
  SteadyTime opens_at(SteadyTime now);

  struct Entry {
    std::optional<ShedReason> shed;  ///< no place was given
    Place place;
  };
  /// Judges a new connection of `address` (a hash under a key of ours) on the listener.
  Entry enter(std::uint32_t listener, std::uint64_t address, SteadyTime now);

  /// May this owner (a hash) connect once more? Limits.connects_per_minute.
  bool may_connect(std::uint64_t owner, SteadyTime now);

  /// Shuts the doors for new connections, or opens them again.
  void close() noexcept { closed_.store(true, std::memory_order_relaxed); }
  void open() noexcept { closed_.store(false, std::memory_order_relaxed); }

  std::uint32_t connections_open() const noexcept {
    return connections_open_.load(std::memory_order_relaxed);
  }

 private:
  friend class Place;
  void leave(const Place& place) noexcept;
  std::optional<ShedReason> judge(std::uint32_t listener, std::uint64_t address, SteadyTime now,
                                  RateTable::Handle& handle);

  const Options options_;
  const Rate accepts_;
  const Rate connects_;
  const std::uint32_t address_connections_max_;
  const bool counts_addresses_;
  std::atomic<bool> closed_{false};
  std::atomic<std::uint32_t> connections_open_{0};
  std::vector<std::atomic<std::uint32_t>> listener_open_;
  std::mutex mutex_;  // of what follows
  TokenBucket accept_bucket_;
  RateTable addresses_;
  RateTable owners_;
};

}  // namespace skerry::net
