// DeadlineHeap against a sorted set.
#include "net/deadline_heap.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

namespace skerry::net {

TEST_CASE("deadlines come out in order whatever was set, moved and cleared") {
  std::mt19937 random(7);
  DeadlineHeap heap;
  std::map<std::uint32_t, int> model;
  const auto at = [](int time) { return SteadyTime(Milliseconds(time)); };
  for (int step = 0; step < 20'000; ++step) {
    const std::uint32_t slot = random() % 64;
    if (random() % 3 == 0) {
      heap.clear(slot);
      model.erase(slot);
    } else {
      const int time = static_cast<int>(random() % 1'000);
      heap.set(slot, at(time));
      model[slot] = time;
    }
    int earliest = 100'000;
    for (const auto& [each, time] : model) {
      earliest = std::min(earliest, time);
    }
    CHECK(heap.earliest() == (model.empty() ? SteadyTime::max() : at(earliest)));
    if (step % 50 == 0) {
      const int now = static_cast<int>(random() % 1'000);
      while (const auto due = heap.pop_due(at(now))) {
        REQUIRE(model.count(*due) == 1);
        CHECK(model[*due] <= now);
        model.erase(*due);
      }
      for (const auto& [each, time] : model) {
        CHECK(time > now);
      }
    }
  }
}

}  // namespace skerry::net
