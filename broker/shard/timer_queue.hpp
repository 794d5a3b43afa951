// TimerQueue: which session to look at when. An entry is a reminder, not a promise: the shard works
// out anew what is due, so entries are never searched for and removed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/now.hpp"

namespace skerry::shard {

class TimerQueue {
 public:
  void add(SteadyTime at, std::uint64_t session) {
    heap_.push_back({at, session});
    std::push_heap(heap_.begin(), heap_.end());
  }

  SteadyTime next() const noexcept { return heap_.empty() ? SteadyTime::max() : heap_.front().at; }

  struct Entry {
    SteadyTime at;
    std::uint64_t session = 0;
    bool operator<(const Entry& other) const noexcept { return at > other.at; }  // earliest on top
  };

  /// Takes a reminder that is due at `now`; session 0 when there is none.
  Entry take(SteadyTime now) noexcept {
    if (heap_.empty() || heap_.front().at > now) {
      return {};
    }
    std::pop_heap(heap_.begin(), heap_.end());
    const Entry due = heap_.back();
    heap_.pop_back();
    return due;
  }

  std::size_t size() const noexcept { return heap_.size(); }
  void clear() noexcept { heap_.clear(); }

 private:
  std::vector<Entry> heap_;
};

}  // namespace skerry::shard
