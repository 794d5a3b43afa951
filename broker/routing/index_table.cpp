#include "routing/index_table.hpp"

#include "base/assert.hpp"

namespace skerry::routing {
namespace {

constexpr std::size_t slots_min = 16;

}  // namespace

void IndexTable::insert(std::uint32_t hash, std::uint32_t index) {
  SKERRY_ASSERT(index != 0);
  if ((size_ + 1) * 4 > slots_.size() * 3) {  // at most three quarters full
    resize(slots_.empty() ? slots_min : slots_.size() * 2);
  }
  std::size_t at = hash & mask();
  while (slots_[at].index != 0) {
    at = (at + 1) & mask();
  }
  slots_[at] = {hash, index};
  ++size_;
}

void IndexTable::erase(std::uint32_t hash, std::uint32_t index) {
  SKERRY_ASSERT(size_ > 0);
  std::size_t hole = hash & mask();
  while (slots_[hole].index != index) {
    SKERRY_ASSERT(slots_[hole].index != 0);
    hole = (hole + 1) & mask();
  }
  // What follows moves back as long as that brings it nearer to where its hash points.
  for (std::size_t at = (hole + 1) & mask(); slots_[at].index != 0; at = (at + 1) & mask()) {
    const std::size_t home = slots_[at].hash & mask();
    if (((at - home) & mask()) >= ((at - hole) & mask())) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole] = {};
  --size_;
  if (size_ == 0) {
    slots_ = std::vector<Slot>();
  } else if (slots_.size() > slots_min && size_ * 8 < slots_.size()) {
    resize(slots_.size() / 2);
  }
}

void IndexTable::resize(std::size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.index == 0) {
      continue;
    }
    std::size_t at = slot.hash & mask();
    while (slots_[at].index != 0) {
      at = (at + 1) & mask();
    }
    slots_[at] = slot;
  }
}

}  // namespace skerry::routing
