// A binary heap that knows where each slot's entry is.
#include "net/deadline_heap.hpp"

namespace skerry::net {

void DeadlineHeap::place(std::size_t index, Entry entry) noexcept {
  entries_[index] = entry;
  positions_[entry.slot] = static_cast<std::uint32_t>(index);
}

void DeadlineHeap::rise(std::size_t index) noexcept {
  const Entry entry = entries_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (entries_[parent].at <= entry.at) {
      break;
    }
    place(index, entries_[parent]);
    index = parent;
  }
  place(index, entry);
}

void DeadlineHeap::sink(std::size_t index) noexcept {
  const Entry entry = entries_[index];
  for (;;) {
    std::size_t child = index * 2 + 1;
    if (child >= entries_.size()) {
      break;
    }
    if (child + 1 < entries_.size() && entries_[child + 1].at < entries_[child].at) {
      ++child;
    }
    if (entry.at <= entries_[child].at) {
      break;
    }
    place(index, entries_[child]);
    index = child;
  }
  place(index, entry);
}

void DeadlineHeap::set(std::uint32_t slot, SteadyTime at) {
  if (slot >= positions_.size()) {
    positions_.resize(std::size_t{slot} + 1, nowhere);
  }
  if (positions_[slot] == nowhere) {
    entries_.push_back({at, slot});
    positions_[slot] = static_cast<std::uint32_t>(entries_.size() - 1);
  } else {
    entries_[positions_[slot]].at = at;
  }
  rise(positions_[slot]);
  sink(positions_[slot]);
}

void DeadlineHeap::clear(std::uint32_t slot) noexcept {
  if (slot >= positions_.size() || positions_[slot] == nowhere) {
    return;
  }
  const std::size_t index = positions_[slot];
  positions_[slot] = nowhere;
  const Entry last = entries_.back();
  entries_.pop_back();
  if (last.slot == slot) {
    return;
  }
  place(index, last);
  rise(index);
  sink(positions_[last.slot]);
}

SteadyTime DeadlineHeap::earliest() const noexcept {
  return entries_.empty() ? SteadyTime::max() : entries_.front().at;
}

std::optional<std::uint32_t> DeadlineHeap::pop_due(SteadyTime now) noexcept {
  if (entries_.empty() || entries_.front().at > now) {
    return std::nullopt;
  }
  const std::uint32_t slot = entries_.front().slot;
  clear(slot);
  return slot;
}

}  // namespace skerry::net
