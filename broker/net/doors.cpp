// The cheapest question first: most connections of a flood end at the second one.
#include "net/doors.hpp"

namespace skerry::net {

namespace {

constexpr double seconds_per_minute = 60;

Rate address_rate(const Limits& limits) noexcept {
  return {static_cast<double>(limits.address_accepts_per_second),
          static_cast<double>(limits.address_accepts_burst)};
}

Rate connect_rate(const Limits& limits) noexcept {
  const auto each_minute = static_cast<double>(limits.connects_per_minute);
  return {each_minute / seconds_per_minute, each_minute};
}

}  // namespace

const char* name_of(ShedReason reason) noexcept {
  switch (reason) {
    case ShedReason::total:
      return "connections_max";
    case ShedReason::listener:
      return "listener";
    case ShedReason::address_connections:
      return "address_connections";
    case ShedReason::address_rate:
      return "address_rate";
    case ShedReason::unattached:
      return "unattached";
    case ShedReason::stalled:
      return "stalled";
    case ShedReason::waited:
      return "waited";
    case ShedReason::closed:
      return "closed";
    case ShedReason::count_:
      break;
  }
  return "unknown";
}

Place::~Place() {
  if (doors_ != nullptr) {
    doors_->leave(*this);
  }
}

Doors::Doors(const Limits& limits, Options options)
    : options_(std::move(options)),
      accepts_{static_cast<double>(limits.accepts_per_second),
               static_cast<double>(limits.accepts_per_second)},
      connects_(connect_rate(limits)),
      address_connections_max_(limits.address_connections_max),
      counts_addresses_(limits.address_connections_max != 0 ||
                        limits.address_accepts_per_second != 0),
      listener_open_(options_.listener_connections_max.size()),
      addresses_(address_rate(limits), rate_table_entries_max),
      owners_(connect_rate(limits), rate_table_entries_max) {}

SteadyTime Doors::opens_at(SteadyTime now) {
  if (accepts_.unlimited()) {
    return now;
  }
  const std::lock_guard lock(mutex_);
  return accept_bucket_.ready_at(accepts_, 1, now);
}

Doors::Entry Doors::enter(std::uint32_t listener, std::uint64_t address, SteadyTime now) {
  Entry entry;
  entry.shed = judge(listener, address, now, entry.place.address_);
  if (!entry.shed) {
    entry.place.doors_ = this;
    entry.place.listener_ = listener;
    // Two cores may both see the last place; one over the cap for each core does no harm.
    connections_open_.fetch_add(1, std::memory_order_relaxed);
    listener_open_[listener].fetch_add(1, std::memory_order_relaxed);
  }
  return entry;
}

std::optional<ShedReason> Doors::judge(std::uint32_t listener, std::uint64_t address,
                                       SteadyTime now, RateTable::Handle& handle) {
  if (closed_.load(std::memory_order_relaxed)) {
    return ShedReason::closed;
  }
  const std::lock_guard lock(mutex_);
  if (counts_addresses_) {
    if (address_connections_max_ != 0 &&
        addresses_.open_count(address) >= address_connections_max_) {
      return ShedReason::address_connections;
    }
    if (!addresses_.take(address, now)) {
      return ShedReason::address_rate;
    }
  }
  const std::uint32_t listener_max = options_.listener_connections_max[listener];
  if (listener_max != 0 &&
      listener_open_[listener].load(std::memory_order_relaxed) >= listener_max) {
    return ShedReason::listener;
  }
  if (connections_open() >= options_.connections_max) {
    return ShedReason::total;
  }
  // Those that are shed cost next to nothing and do not count, so that a flood from few addresses
  // takes nothing from the rate of the others.
  accept_bucket_.charge(accepts_, 1, now);
  if (counts_addresses_) {
    handle = addresses_.open(address, now);
  }
  return std::nullopt;
}

void Doors::leave(const Place& place) noexcept {
  connections_open_.fetch_sub(1, std::memory_order_relaxed);
  listener_open_[place.listener_].fetch_sub(1, std::memory_order_relaxed);
  if (counts_addresses_) {
    const std::lock_guard lock(mutex_);
    addresses_.close(place.address_);
  }
}

bool Doors::may_connect(std::uint64_t owner, SteadyTime now) {
  if (connects_.unlimited()) {
    return true;
  }
  const std::lock_guard lock(mutex_);
  return owners_.take(owner, now);
}

}  // namespace skerry::net
