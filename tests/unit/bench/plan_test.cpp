#include "plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace skerry::bench;

TEST_CASE("filters match as MQTT says") {
  CHECK(matches("a/b", "a/b"));
  CHECK(matches("a/+", "a/b"));
  CHECK(matches("a/#", "a/b/c"));
  CHECK(matches("a/#", "a"));
  CHECK(matches("#", "a/b"));
  CHECK(matches("+/+", "/a"));
  CHECK_FALSE(matches("a/+", "a/b/c"));
  CHECK_FALSE(matches("a/+/c", "a/b"));
  CHECK_FALSE(matches("a", "a/b"));
  CHECK_FALSE(matches("+", "/a"));
}

TEST_CASE("each shape says how many deliveries make a message whole") {
  CHECK(deliveries_of({Shape::fan_in, 4, 2}) == std::vector<std::uint32_t>{1, 1, 1, 1});
  CHECK(deliveries_of({Shape::fan_out, 2, 9}) == std::vector<std::uint32_t>{9, 9});
  CHECK(deliveries_of({Shape::shared, 1, 9}) == std::vector<std::uint32_t>{1});
  const Plan plan{Shape::wildcard, 100, 200};
  const auto deliveries = deliveries_of(plan);
  for (std::uint32_t publisher = 0; publisher < plan.publishers; ++publisher) {
    std::uint32_t expected = 0;
    for (std::uint32_t subscriber = 0; subscriber < plan.subscribers; ++subscriber) {
      expected += matches(filter_of(plan, subscriber), topic_of(plan, publisher, "")) ? 1 : 0;
    }
    CHECK(deliveries[publisher] == expected);
    CHECK(expected > 0);
  }
}

TEST_CASE("every publisher of fan-in and of pairs is heard by one subscriber") {
  for (const Plan& plan : {Plan{Shape::fan_in, 30, 7}, Plan{Shape::pairs, 30, 30}}) {
    for (std::uint32_t publisher = 0; publisher < plan.publishers; ++publisher) {
      std::uint32_t heard = 0;
      for (std::uint32_t subscriber = 0; subscriber < plan.subscribers; ++subscriber) {
        heard += matches(filter_of(plan, subscriber), topic_of(plan, publisher, "")) ? 1 : 0;
      }
      CHECK(heard == 1);
    }
  }
}
