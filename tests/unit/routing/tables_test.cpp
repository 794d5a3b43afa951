// The parts under the trie: numbered objects and the hash set of numbers.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "routing/index_table.hpp"
#include "routing/level_table.hpp"
#include "routing/slab.hpp"

using namespace skerry;
using namespace skerry::routing;

TEST_CASE("a slab gives numbers from 1, uses them again and frees what it holds") {
  const auto value = std::make_shared<int>(7);
  {
    Slab<std::shared_ptr<int>> slab;
    CHECK(slab.emplace(value) == 1);
    CHECK(slab.emplace(value) == 2);
    CHECK(slab.emplace() == 3);
    slab.erase(2);
    CHECK(value.use_count() == 2);
    CHECK(slab.emplace(value) == 2);
    CHECK(slab.size() == 3);
    std::set<std::uint32_t> seen;
    slab.for_each([&](std::uint32_t index, const std::shared_ptr<int>&) { seen.insert(index); });
    CHECK(seen == std::set<std::uint32_t>{1, 2, 3});
    for (int i = 0; i < 1000; ++i) {
      slab.emplace(value);
    }
  }
  CHECK(value.use_count() == 1);
}

TEST_CASE("a slab that has become empty begins again at 1") {
  Slab<std::string> slab;
  for (std::uint32_t index = 1; index <= 600; ++index) {
    REQUIRE(slab.emplace("x") == index);
  }
  for (std::uint32_t index = 1; index <= 600; ++index) {
    slab.erase(index);
  }
  CHECK(slab.size() == 0);
  CHECK(slab.emplace("y") == 1);
  CHECK(slab[1] == "y");
}

TEST_CASE("an index table finds what is in it, whatever was inserted and erased before") {
  // Few different hashes, so that probes run into each other and around the end.
  for (const std::uint32_t hash_count : {1u, 3u, 50u, 100'000u}) {
    std::mt19937 random(hash_count);
    IndexTable table;
    std::map<std::uint32_t, std::uint32_t> expected;  // index → hash
    for (int step = 0; step < 4000; ++step) {
      const auto index = static_cast<std::uint32_t>(random() % 300 + 1);
      const auto known = expected.find(index);
      if (known == expected.end()) {
        const auto hash = static_cast<std::uint32_t>(random() % hash_count * 0x01000193u);
        table.insert(hash, index);
        expected.emplace(index, hash);
      } else {
        table.erase(known->second, index);
        expected.erase(known);
      }
      CHECK(table.size() == expected.size());
      if (step % 50 == 0) {
        for (std::uint32_t each = 1; each <= 300; ++each) {
          const auto place = expected.find(each);
          const std::uint32_t hash = place == expected.end() ? 0 : place->second;
          const std::uint32_t found =
              table.find(hash, [each](std::uint32_t candidate) { return candidate == each; });
          CHECK(found == (place == expected.end() ? 0 : each));
        }
      }
    }
  }
}

TEST_CASE("a level is kept once, under one number, until the last holder lets go") {
  LevelTable levels(HashKey{{1, 2}});
  CHECK(levels.find("telemetry") == 0);
  const std::uint32_t level = levels.acquire("telemetry");
  CHECK(level != 0);
  CHECK(levels.acquire("telemetry") == level);
  CHECK(levels.find("telemetry") == level);
  CHECK(levels.size() == 1);
  levels.release(level);
  CHECK(levels.find("telemetry") == level);
  levels.release(level);
  CHECK(levels.find("telemetry") == 0);
  CHECK(levels.size() == 0);
}

TEST_CASE("levels of every length keep their bytes") {
  LevelTable levels(HashKey{{1, 2}});
  std::map<std::string, std::uint32_t> held;
  for (std::size_t size = 0; size < 70; ++size) {
    const std::string name(size, static_cast<char>('a' + size % 26));
    held[name] = levels.acquire(name);
  }
  const std::string longest(65'535, 'x');
  held[longest] = levels.acquire(longest);
  for (const auto& [name, level] : held) {
    CHECK(levels.name(level) == name);
    CHECK(levels.find(name) == level);
  }
}
