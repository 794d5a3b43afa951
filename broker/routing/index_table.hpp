// IndexTable: a hash set of numbers whose keys lie elsewhere: 8 bytes a slot, open addressing with
// linear probing, no tombstones. The caller brings hashes that peers cannot predict. One core's.
#pragma once

#include <cstdint>
#include <vector>

namespace skerry::routing {

class IndexTable {
 public:
  std::size_t size() const noexcept { return size_; }

  /// The number under `hash` for which equal(number) holds, or 0. O(1) on average.
  template <typename Equal>
  std::uint32_t find(std::uint32_t hash, Equal&& equal) const noexcept {
    if (size_ == 0) {
      return 0;
    }
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Slot& slot = slots_[at];
      if (slot.index == 0) {
        return 0;
      }
      if (slot.hash == hash && equal(slot.index)) {
        return slot.index;
      }
    }
  }

  /// `index` is not 0 and not in the table. Amortised O(1): doubling copies the slots.
  void insert(std::uint32_t hash, std::uint32_t index);

  /// `index` is in the table under `hash`. Gives memory back when the table has become sparse.
  void erase(std::uint32_t hash, std::uint32_t index);

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t index = 0;  // 0: empty
  };

  std::size_t mask() const noexcept { return slots_.size() - 1; }  // a power of two
  void resize(std::size_t slots);

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace skerry::routing
