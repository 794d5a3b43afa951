// The server dies after every single step of an exchange and starts again, with as many cores or
// with others. Nothing that was acknowledged may be lost, QoS 2 is never doubled, order is kept,
// and when all is done nothing is left in storage.
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

struct Scenario {
  mqtt::Qos qos = q1;
  std::uint16_t cores = 1;
  std::uint16_t cores_after = 1;
  bool online = true;
  bool two_recipients = false;
  bool group = false;
};

std::string first_occurrences(const std::string& text) {
  std::string unique;
  for (const char letter : text) {
    if (unique.find(letter) == std::string::npos) {
      unique += letter;
    }
  }
  return unique;
}

class Exchange {
 public:
  explicit Exchange(const Scenario& scenario)
      : world(scenario.cores),
        publisher(world.client("p", 0)),
        first(world.client("s", 1)),
        second(world.client("r", 0)),
        scenario_(scenario) {
    publisher.connect();
    first.connect();
    second.connect();
    world.run();
    first.client.subscribe(scenario.group ? "$share/g/t/#" : "t/#", q2);
    if (scenario.two_recipients) {
      second.client.subscribe("t/+", q2);
    }
    world.run();
    if (!scenario.online) {
      first.client.drop();
      world.run();
    }
  }

  /// False: it went through without reaching step `crash_after`.
  bool run_until(std::uint64_t crash_after) {
    world.crash_at_step = world.steps() + crash_after;
    bool crashed = false;
    try {
      publish_rest();
      world.run();
      if (!scenario_.online) {
        first.connect();
      }
      world.run();
    } catch (const World::Crashed&) {
      crashed = true;
    }
    world.crash(scenario_.cores_after);
    return crashed;
  }

  void recover() {
    for (Device* device : {&publisher, &first, &second}) {
      device->connect();
      world.run();
    }
    publish_rest();
    world.advance(Seconds(2));
  }

  void check(const Device& subscriber) const {
    CHECK(publisher.open.empty());
    if (scenario_.qos == q2) {
      CHECK(subscriber.payloads() == "abc");
    } else {
      CHECK(first_occurrences(subscriber.payloads()) == "abc");
    }
    CHECK(world.leftovers() == 0);
  }

  World world;
  Device publisher;
  Device first;
  Device second;

 private:
  void publish_rest() {
    while (published_ < 3) {
      publisher.publish("t/x", std::string(1, "abc"[published_++]), scenario_.qos);
    }
  }

  Scenario scenario_;
  std::size_t published_ = 0;
};

void crash_everywhere(const Scenario& scenario) {
  bool crashed = true;
  for (std::uint64_t step = 1; crashed; ++step) {
    CAPTURE(step);
    CAPTURE(static_cast<int>(scenario.qos));
    CAPTURE(scenario.cores);
    CAPTURE(scenario.cores_after);
    CAPTURE(scenario.online);
    CAPTURE(scenario.two_recipients);
    Exchange exchange(scenario);
    crashed = exchange.run_until(step);
    exchange.recover();
    exchange.check(exchange.first);
    if (scenario.two_recipients) {
      exchange.check(exchange.second);
    }
  }
}

constexpr mqtt::Qos levels[] = {q1, q2};
constexpr std::pair<std::uint16_t, std::uint16_t> core_changes[] = {{1, 1}, {2, 2}, {2, 3}, {3, 1}};

}  // namespace

TEST_CASE("a crash at any step loses nothing acknowledged and doubles no QoS 2") {
  for (const mqtt::Qos qos : levels) {
    for (const auto& [cores, after] : core_changes) {
      for (const bool online : {true, false}) {
        for (const bool two : {false, true}) {
          crash_everywhere({qos, cores, after, online, two});
        }
      }
    }
  }
}

TEST_CASE("the same holds for a shared group") {
  for (const mqtt::Qos qos : levels) {
    for (const auto& [cores, after] : core_changes) {
      for (const bool online : {true, false}) {
        for (const bool two : {false, true}) {
          crash_everywhere({qos, cores, after, online, two, true});
        }
      }
    }
  }
}
