// RateTable: slots that are used again, an index by key, and a hand that goes round.
#include "base/rate_table.hpp"

#include "base/assert.hpp"

namespace skerry {

RateTable::RateTable(Rate rate, std::size_t entries_max)
    : rate_(rate), entries_max_(entries_max), entries_(1) {
  SKERRY_ASSERT(entries_max_ > 0);
}

bool RateTable::take(std::uint64_t key, SteadyTime now) {
  return rate_.unlimited() || entries_[find_or_add(key, now)].bucket.take(rate_, 1, now);
}

std::uint32_t RateTable::open_count(std::uint64_t key) const noexcept {
  const auto found = index_.find(key);
  if (found != index_.end()) {
    return entries_[found->second].open;
  }
  return index_.size() < entries_max_ ? 0 : entries_[shared].open;
}

RateTable::Handle RateTable::open(std::uint64_t key, SteadyTime now) {
  const Handle handle = find_or_add(key, now);
  ++entries_[handle].open;
  return handle;
}

void RateTable::close(Handle handle) noexcept {
  SKERRY_ASSERT(handle < entries_.size() && entries_[handle].open > 0);
  --entries_[handle].open;
}

RateTable::Handle RateTable::find_or_add(std::uint64_t key, SteadyTime now) {
  if (const auto found = index_.find(key); found != index_.end()) {
    return found->second;
  }
  forget_some(now);
  if (index_.size() >= entries_max_) {
    ++shared_count_;
    return shared;
  }
  if (free_.empty()) {
    free_.push_back(static_cast<Handle>(entries_.size()));
    entries_.emplace_back();
  }
  const Handle handle = free_.back();
  free_.pop_back();
  entries_[handle] = {key, TokenBucket(now), 0, true};
  index_.emplace(key, handle);
  return handle;
}

void RateTable::forget_some(SteadyTime now) {
  for (std::size_t look = 0; look < looks; ++look) {
    hand_ = hand_ + 1 < entries_.size() ? hand_ + 1 : 1;
    if (hand_ >= entries_.size()) {
      return;
    }
    Entry& entry = entries_[hand_];
    if (entry.used && entry.open == 0 && entry.bucket.full(rate_, now)) {
      index_.erase(entry.key);
      entry.used = false;
      free_.push_back(static_cast<Handle>(hand_));
    }
  }
}

}  // namespace skerry
