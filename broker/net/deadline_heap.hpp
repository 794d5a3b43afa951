// DeadlineHeap: at most one deadline per connection slot, the earliest on top. A connection that
// has none costs four bytes here, so a fleet of idle ones costs next to nothing. O(log n) to set,
// move or clear. One core's own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/now.hpp"

namespace skerry::net {

class DeadlineHeap {
 public:
  /// Sets or moves the deadline of `slot`.
  void set(std::uint32_t slot, SteadyTime at);
  /// Nothing happens when it has none.
  void clear(std::uint32_t slot) noexcept;

  /// SteadyTime::max() when there is none.
  SteadyTime earliest() const noexcept;

  /// Takes the earliest deadline out when it has passed.
  std::optional<std::uint32_t> pop_due(SteadyTime now) noexcept;

 private:
  struct Entry {
    SteadyTime at;
    std::uint32_t slot;
  };
  static constexpr std::uint32_t nowhere = UINT32_MAX;

  void place(std::size_t index, Entry entry) noexcept;
  void rise(std::size_t index) noexcept;
  void sink(std::size_t index) noexcept;

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> positions_;  // by slot: index in entries_ or `nowhere`
};

}  // namespace skerry::net
