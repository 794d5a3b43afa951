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
    MemoryWatch watch(roomy, [](MemoryBudget::Level) {});
    CHECK(roomy.used_bytes() > 0);
    CHECK(roomy.level() == MemoryBudget::Level::calm);
  }
  MemoryBudget tight(now / 2);
  std::promise<MemoryBudget::Level> told;
  MemoryWatch watch(tight, [&](MemoryBudget::Level level) { told.set_value(level); });
  CHECK(told.get_future().get() == MemoryBudget::Level::full);
  CHECK(watch.trims() > 0);
}

}  // namespace skerry::app
