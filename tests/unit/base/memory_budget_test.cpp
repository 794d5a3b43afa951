#include "base/memory_budget.hpp"

#include <doctest/doctest.h>

using namespace skerry;
using Level = MemoryBudget::Level;

namespace {

constexpr std::size_t mebi = 1024 * 1024;

}  // namespace

TEST_CASE("a budget is calm below four fifths, pressed above, full from 95 percent on") {
  MemoryBudget budget(1000 * mebi);
  for (const auto& [used, level] : {std::pair{0ul, Level::calm},
                                    {799ul, Level::calm},
                                    {801ul, Level::pressed},
                                    {949ul, Level::pressed},
                                    {951ul, Level::full},
                                    {2000ul, Level::full}}) {
    CAPTURE(used);
    budget.set_used(used * mebi);
    CHECK(budget.level() == level);
    CHECK(budget.closes_doors() == (level != Level::calm));
    CHECK(budget.used_bytes() == used * mebi);
  }
  budget.set_used(0);
  CHECK(budget.level() == Level::calm);
}

TEST_CASE("no limit is always calm") {
  MemoryBudget budget;
  budget.set_used(SIZE_MAX);
  CHECK(budget.level() == Level::calm);
  CHECK(budget.allowance(7, 1) == 7);
}

TEST_CASE("what one holder may have shrinks with the room, and never below the least") {
  MemoryBudget budget(1000 * mebi);
  std::size_t before = 4 * mebi;
  for (std::size_t used = 700; used <= 1100; used += 10) {
    budget.set_used(used * mebi);
    const std::size_t now = budget.allowance(4 * mebi, 16 * 1024);
    CAPTURE(used);
    CHECK(now <= before);
    CHECK(now >= 16 * 1024);
    before = now;
  }
  CHECK(before == 16 * 1024);
  CHECK(budget.allowance(1024, 16 * 1024) == 1024);  // the cap of a calm day holds all the same
  budget.set_used(875 * mebi);                       // the middle: a sixteenth of the cap
  CHECK(budget.allowance(4 * mebi, 0) / 1024 == doctest::Approx(256).epsilon(0.05));
}
