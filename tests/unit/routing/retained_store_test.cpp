// Retained messages: replacing, counting, expiring, and walks in slices while the store changes.
#include "routing/retained_store.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <set>
#include <string>

#include "mqtt/topic.hpp"

using namespace skerry;
using namespace skerry::routing;
using namespace std::chrono_literals;

namespace {

constexpr WallTime start = WallTime{1'700'000'000'000ms};

mqtt::MessagePtr message(std::string_view topic, std::string_view payload = "x",
                         std::optional<std::uint32_t> expiry = std::nullopt) {
  mqtt::Publish publish;
  publish.topic = topic;
  publish.payload = as_bytes(payload);
  publish.retain = true;
  publish.properties.message_expiry_interval = expiry;
  return mqtt::MessagePtr(mqtt::make_block(publish, start));
}

std::vector<std::string> all(RetainedStore& store, std::string_view filter, std::size_t slice = 3,
                             WallTime now = start) {
  std::vector<std::string> topics;
  RetainedStore::Cursor cursor;
  while (!cursor.done()) {
    const auto found = store.match(filter, cursor, slice, now);
    CHECK(found.size() <= slice);
    for (const mqtt::MessagePtr& each : found) {
      topics.emplace_back(each->topic());
    }
  }
  CHECK(store.match(filter, cursor, slice, now).empty());
  return topics;
}

using Topics = std::vector<std::string>;

std::string random_name(std::mt19937& random, const std::vector<std::string>& levels) {
  std::string text = levels[random() % levels.size()];
  for (std::size_t more = random() % 4; more > 0; --more) {
    text += "/" + levels[random() % levels.size()];
  }
  return text.empty() ? "a" : text;
}

// '!' sorts before '/', '0' and letters behind it: a level may lie on either side of its subtree.
const std::vector<std::string> topic_levels = {"a", "a!", "a0", "b", "", "$s", "!", "c"};
const std::vector<std::string> filter_levels = {"a", "a!", "a0", "b", "", "$s", "+", "+"};

std::string random_filter(std::mt19937& random) {
  const std::string text = random_name(random, filter_levels);
  return random() % 3 != 0 ? text : random() % 6 == 0 ? std::string("#") : text + "/#";
}

}  // namespace

TEST_CASE("a retained message replaces the one before it") {
  RetainedStore store;
  CHECK_FALSE(store.set(message("t", "first")));
  const mqtt::MessagePtr replaced = store.set(message("t", "second"));
  REQUIRE(replaced);
  CHECK(as_text(replaced->payload()) == "first");
  CHECK(as_text(store.find("t")->payload()) == "second");
  CHECK(store.count() == 1);
}

TEST_CASE("erasing gives the message back and takes its bytes off the count") {
  RetainedStore store;
  CHECK(store.size_bytes() == 0);
  store.set(message("a", "payload"));
  const std::size_t one = store.size_bytes();
  CHECK(one > 7);
  store.set(message("b", "payload"));
  CHECK(store.size_bytes() == 2 * one);
  store.set(message("b", "payload and more"));
  CHECK(store.size_bytes() == 2 * one + 9);
  CHECK_FALSE(store.erase("c"));
  CHECK(store.erase("b")->topic() == "b");
  CHECK_FALSE(store.find("b"));
  CHECK(store.erase("a"));
  CHECK(store.size_bytes() == 0);
  CHECK(store.count() == 0);
}

TEST_CASE("filters find retained messages by the rules of subscriptions") {
  RetainedStore store;
  for (const char* topic : {"sport", "sport/tennis", "sport/tennis/p1", "sport!", "sport0", "/x",
                            "$SYS/load", "other/tennis"}) {
    store.set(message(topic));
  }
  CHECK(all(store, "sport/#") == Topics{"sport", "sport/tennis", "sport/tennis/p1"});
  CHECK(all(store, "+/tennis") == Topics{"other/tennis", "sport/tennis"});
  CHECK(all(store, "sport") == Topics{"sport"});
  CHECK(all(store, "+") == Topics{"sport", "sport!", "sport0"});
  CHECK(all(store, "#").size() == 7);  // [MQTT-4.7.2-1]
  CHECK(all(store, "$SYS/#") == Topics{"$SYS/load"});
  CHECK(all(store, "+/load").empty());
  CHECK(all(store, "nothing/+").empty());
}

TEST_CASE("walks give exactly what the naive matcher gives, in any slices") {
  for (std::uint32_t seed = 1; seed <= 15; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    RetainedStore store;
    std::set<std::string> topics;
    for (int i = 0; i < 200; ++i) {
      topics.insert(random_name(random, topic_levels));
    }
    for (const std::string& topic : topics) {
      store.set(message(topic));
    }
    for (int i = 0; i < 100; ++i) {
      const std::string filter = random_filter(random);
      CAPTURE(filter);
      Topics expected;
      std::copy_if(topics.begin(), topics.end(), std::back_inserter(expected),
                   [&](const std::string& topic) { return mqtt::matches(filter, topic); });
      CHECK(all(store, filter, 1 + random() % 5) == expected);
    }
  }
}

TEST_CASE("what is there during the whole walk is given once, whatever comes and goes meanwhile") {
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    RetainedStore store;
    std::set<std::string> steady;
    std::set<std::string> ever;
    for (int i = 0; i < 100; ++i) {
      steady.insert(random_name(random, topic_levels));
    }
    for (const std::string& topic : steady) {
      store.set(message(topic));
    }
    ever = steady;
    const std::string filter = random_filter(random);
    CAPTURE(filter);
    std::map<std::string, int> given;
    RetainedStore::Cursor cursor;
    while (!cursor.done()) {
      for (const mqtt::MessagePtr& each : store.match(filter, cursor, 2, start)) {
        ++given[std::string(each->topic())];
        CHECK(mqtt::matches(filter, each->topic()));
      }
      for (int change = 0; change < 5; ++change) {
        const std::string topic = random_name(random, topic_levels);
        if (random() % 2 == 0) {
          store.set(message(topic, "new"));
          ever.insert(topic);
        } else {
          store.erase(topic);
          steady.erase(topic);
        }
      }
    }
    for (const auto& [topic, times] : given) {
      CHECK(times == 1);
      CHECK(ever.count(topic) == 1);
    }
    for (const std::string& topic : steady) {
      CHECK(given.count(topic) == (mqtt::matches(filter, topic) ? 1u : 0u));
    }
  }
}

TEST_CASE("a slice looks at a bounded number of topics") {
  RetainedStore store;
  for (int i = 0; i < 1000; ++i) {
    store.set(message("a/" + std::to_string(i)));
  }
  RetainedStore::Cursor cursor;
  CHECK(store.match("+/+/x", cursor, 2, start).empty());
  CHECK_FALSE(cursor.done());
  int slices = 1;
  for (; !cursor.done(); ++slices) {
    store.match("+/+/x", cursor, 2, start);
  }
  CHECK(slices == 1000 / 32 + 1);
}

TEST_CASE("a walk leaps over branches that cannot match") {
  RetainedStore store;
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 100; ++j) {
      store.set(message("devices/" + std::to_string(i) + "/series/" + std::to_string(j)));
    }
    store.set(message("devices/" + std::to_string(i) + "/presence"));
  }
  RetainedStore::Cursor cursor;
  std::size_t found = 0;
  std::size_t slices = 0;
  while (!cursor.done()) {
    found += store.match("devices/+/presence", cursor, 10, start).size();
    ++slices;
  }
  CHECK(found == 100);
  CHECK(slices <= 11);  // visiting all 10,100 topics would take 63
}

TEST_CASE("expired messages are not given but removed, and handed over for their records") {
  RetainedStore store;
  store.set(message("a", "x", 10));
  store.set(message("b", "x", 20));
  store.set(message("c"));
  CHECK(all(store, "#", 2, start + 9s) == Topics{"a", "b", "c"});
  CHECK(store.take_expired().empty());
  CHECK(all(store, "+", 2, start + 10s) == Topics{"b", "c"});
  CHECK(store.count() == 2);
  const auto expired = store.take_expired();
  REQUIRE(expired.size() == 1);
  CHECK(expired[0]->topic() == "a");
  CHECK(store.take_expired().empty());
  CHECK(store.find("b"));
}

TEST_CASE("the sweep goes round and finds what has expired without being asked for it") {
  RetainedStore store;
  for (int i = 0; i < 100; ++i) {
    store.set(message("t" + std::to_string(i), "x",
                      i % 2 == 0 ? std::optional<std::uint32_t>(5) : std::nullopt));
  }
  for (int i = 0; i < 5; ++i) {
    store.sweep(10, start);
  }
  CHECK(store.count() == 100);
  for (int i = 0; i < 11; ++i) {
    store.sweep(10, start + 5s);
  }
  CHECK(store.count() == 50);
  CHECK(store.take_expired().size() == 50);
  RetainedStore empty;
  empty.sweep(10, start);
  CHECK(empty.count() == 0);
}
