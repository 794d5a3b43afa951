// MemoryBudget: how near the process is to the memory it may use, as one number that every core
// reads at no cost. A thread of the application measures (app/memory_watch.hpp); who may grow
// something looks here first. What stops at which level is docs/adr/0019.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace skerry {

class MemoryBudget {
 public:
  enum class Level : std::uint8_t {
    calm,     ///< below four fifths of the limit
    pressed,  ///< nothing new comes in, and who holds most may hold less and less
    full,     ///< what would have to be kept is refused
  };

  /// `limit_bytes` 0: no limit, always calm.
  explicit MemoryBudget(std::size_t limit_bytes = 0) noexcept : limit_(limit_bytes) {}

  std::size_t limit_bytes() const noexcept { return limit_; }
  std::size_t used_bytes() const noexcept { return used_.load(std::memory_order_relaxed); }

  /// What was measured. Any thread, but one at a time.
  void set_used(std::size_t bytes) noexcept {
    used_.store(bytes, std::memory_order_relaxed);
    room_.store(limit_ == 0 ? room_whole : room_in(limit_, bytes), std::memory_order_relaxed);
  }

  Level level() const noexcept {
    const std::uint32_t room = room_.load(std::memory_order_relaxed);
    return room == room_whole ? Level::calm : (room == 0 ? Level::full : Level::pressed);
  }
  /// No new connection may come in, and who holds much and takes nothing must go. Any thread.
  bool closes_doors() const noexcept { return level() != Level::calm; }

  /// How much of `cap` one holder may use now: all of it while calm, under pressure by the fourth
  /// power of what is left, so that the largest are cut first, small ones notice nothing, and a
  /// thousand alike come to rest well before it is full; never less than `least`.
  std::size_t allowance(std::size_t cap, std::size_t least) const noexcept {
    return share(room_.load(std::memory_order_relaxed), cap, least);
  }

  /// What is left of a limit when so much of it is used: room_whole while calm, 0 when full.
  static constexpr std::uint32_t room_whole = 1024;
  static std::uint32_t room_in(std::size_t limit, std::size_t used) noexcept {
    const std::size_t pressed_at = limit / 100 * pressed_percent;
    const std::size_t full_at = limit / 100 * full_percent;
    if (used >= full_at) {
      return 0;
    }
    if (used < pressed_at) {
      return room_whole;
    }
    const std::size_t left = (full_at - used) * (room_whole - 1) / (full_at - pressed_at);
    return static_cast<std::uint32_t>(std::clamp<std::size_t>(left, 1, room_whole - 1));
  }
  /// What allowance() says, for a room that somebody else has measured.
  static std::size_t share(std::size_t room, std::size_t cap, std::size_t least) noexcept {
    if (room == room_whole) {
      return cap;
    }
    const std::size_t squared = room * room / room_whole;
    return std::min(cap, std::max(least, cap / room_whole * squared / room_whole * squared));
  }

 private:
  static constexpr std::size_t pressed_percent = 80;
  static constexpr std::size_t full_percent = 95;

  const std::size_t limit_;
  std::atomic<std::size_t> used_{0};
  std::atomic<std::uint32_t> room_{room_whole};
};

}  // namespace skerry
