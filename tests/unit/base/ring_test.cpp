#include "base/ring.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <memory>
#include <random>
#include <string>

using skerry::Ring;

TEST_CASE("a ring behaves like a deque under random work") {
  std::mt19937 random(7);
  Ring<std::string> ring;
  std::deque<std::string> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto value = std::to_string(step) + " is long enough to live on the heap";
    switch (random() % 5) {
      case 0:
      case 1:
        ring.push_back(value);
        model.push_back(value);
        break;
      case 2:
        ring.push_front(value);
        model.push_front(value);
        break;
      case 3:
        if (!model.empty()) {
          ring.pop_front();
          model.pop_front();
        }
        break;
      default:
        if (random() % 50 == 0) {
          const auto dead = [](const std::string& text) { return text[0] % 2 == 0; };
          CHECK(ring.erase_if(dead) == std::erase_if(model, dead));
        }
    }
    REQUIRE(ring.size() == model.size());
    if (!model.empty()) {
      const std::size_t at = random() % model.size();
      REQUIRE(ring[at] == model[at]);
      REQUIRE(ring.front() == model.front());
      REQUIRE(ring.back() == model.back());
    }
  }
}

TEST_CASE("a ring destroys what it held, once") {
  const auto counted = std::make_shared<int>(1);
  {
    Ring<std::shared_ptr<int>> ring;
    for (int i = 0; i < 100; ++i) {
      ring.push_back(counted);
    }
    Ring<std::shared_ptr<int>> other(std::move(ring));
    CHECK(ring.empty());
    CHECK(counted.use_count() == 101);
    other.pop_front();
    CHECK(counted.use_count() == 100);
    Ring<std::shared_ptr<int>> assigned;
    assigned.push_back(counted);
    assigned = std::move(other);
    CHECK(assigned.size() == 99);
    CHECK(counted.use_count() == 100);
  }
  CHECK(counted.use_count() == 1);
}
