#include "app/memory_watch.hpp"

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <vector>

namespace skerry::app {

TEST_CASE("a control group's limit is a number or none") {
  CHECK(bytes_of_memory_max("max") == 0);
  CHECK(bytes_of_memory_max("") == 0);
  CHECK(bytes_of_memory_max("536870912") == 536'870'912);
  CHECK(bytes_of_memory_max("99999999999999999999999") == 0);
}

TEST_CASE("the limit is what was configured, or a share of what there is") {
  CHECK(memory_limit(77) == 77);
  CHECK(memory_limit(0) > 0);
}

TEST_CASE("the watch measures at once and tells of each change of level") {
  const std::size_t now = resident_bytes();
  REQUIRE(now > 0);
  MemoryBudget roomy(now * 100);
  {
    MemoryWatch watch(roomy, {.level = [](MemoryBudget::Level) {}, .doors = [](bool) {}});
    CHECK(roomy.used_bytes() > 0);
    CHECK(roomy.level() == MemoryBudget::Level::calm);
  }
  MemoryBudget tight(now / 2);
  std::promise<MemoryBudget::Level> told;
  std::promise<bool> shut;
  MemoryWatch watch(tight, {.level = [&](MemoryBudget::Level level) { told.set_value(level); },
                            .doors = [&](bool now_shut) { shut.set_value(now_shut); }});
  CHECK(told.get_future().get() == MemoryBudget::Level::full);
  CHECK(shut.get_future().get());
  CHECK(watch.trims() > 0);
}

TEST_CASE("doors shut at once and open only after two calm seconds in a row") {
  using Level = MemoryBudget::Level;
  static constexpr SteadyTime start{std::chrono::hours(1)};
  const auto at = [](int milliseconds) { return start + Milliseconds(milliseconds); };
  MemoryDoors doors;
  CHECK_FALSE(doors.shut(Level::calm, at(0)));
  CHECK(doors.shut(Level::pressed, at(100)));
  CHECK(doors.shut(Level::calm, at(110)));
  CHECK(doors.shut(Level::calm, at(2'000)));
  CHECK(doors.shut(Level::full, at(2'010)));  // it begins anew
  CHECK(doors.shut(Level::calm, at(4'000)));
  CHECK_FALSE(doors.shut(Level::calm, at(4'010)));
  CHECK_FALSE(doors.shut(Level::calm, at(4'020)));
}

}  // namespace skerry::app
