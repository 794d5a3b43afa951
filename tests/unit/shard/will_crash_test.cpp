// The server dies after every single step of the life and death of a client with a will. A will
// that is due comes, and at QoS 2 once, whichever cores its client and its recipients live on.
#include <doctest/doctest.h>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

struct Scenario {
  mqtt::Qos qos = q2;
  std::uint16_t cores = 1;
  std::uint32_t delay = 0;
  bool returns = false;  ///< with a new will; the old one is published only without a delay
  std::uint16_t second_core = 0;  ///< a second recipient there
  bool retained = false;          ///< the will's topic is kept on the second core
};

class Death {
 public:
  explicit Death(const Scenario& scenario)
      : world(scenario.cores),
        mortal(world.client("m", 0)),
        first(world.client("s", 1)),
        second(world.client("r", scenario.second_core)),
        scenario_(scenario) {
    for (Device* device : {&first, &second}) {
      device->connect();
      world.run();
      device->client.subscribe("will/#", q2);
    }
    world.run();
    topic = scenario.retained ? world.topic_on(1, "will/") : "will/1";
    connect(topic);
    world.run();
  }

  /// False: it went through without reaching step `crash_after`.
  bool run_until(std::uint64_t crash_after) {
    world.crash_at_step = world.steps() + crash_after;
    bool crashed = false;
    try {
      mortal.drop();
      if (scenario_.returns) {
        connect("will/2");
      }
      world.run();
      world.advance(Seconds(scenario_.delay));
    } catch (const World::Crashed&) {
      crashed = true;
    }
    world.crash();
    return crashed;
  }

  void recover() {
    first.connect();
    second.connect();
    world.run();
    world.advance(Seconds(scenario_.delay + 30));
  }

  void check(const Device& subscriber) const {
    std::size_t ones = 0;
    for (const auto& [name, payload] : subscriber.delivered) {
      ones += name == topic ? 1 : 0;
    }
    CHECK(ones >= 1);
    if (scenario_.qos == q2) {
      CHECK(ones == 1);
    }
    CHECK(world.leftovers() == 0);
  }

  World world;
  std::string topic;
  Client& mortal;
  Device first;
  Device second;

 private:
  void connect(std::string_view of_will) {
    mqtt::Will will = will_of(of_will, "dead", scenario_.delay);
    will.qos = scenario_.qos;
    will.retain = scenario_.retained;
    ConnectOptions options = persistent;
    options.will = will;
    mortal.connect(options);
  }

  Scenario scenario_;
};

void die_everywhere(const Scenario& scenario) {
  bool crashed = true;
  for (std::uint64_t step = 1; crashed; ++step) {
    CAPTURE(step);
    CAPTURE(static_cast<int>(scenario.qos));
    CAPTURE(scenario.cores);
    CAPTURE(scenario.delay);
    CAPTURE(scenario.returns);
    Death death(scenario);
    crashed = death.run_until(step);
    death.recover();
    death.check(death.first);
    death.check(death.second);
  }
}

}  // namespace

TEST_CASE("a crash at any step takes no will and doubles none at QoS 2") {
  for (const mqtt::Qos qos : {q1, q2}) {
    for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3}}) {
      for (const std::uint32_t delay : {0u, 5u}) {
        die_everywhere({qos, cores, delay, false, 2});
      }
      die_everywhere({qos, cores, 0, true, 0});
    }
  }
}

TEST_CASE("a retained will whose topic another core keeps comes once at QoS 2 over a crash") {
  for (const mqtt::Qos qos : {q1, q2}) {
    for (const std::uint16_t cores : {std::uint16_t{2}, std::uint16_t{3}}) {
      for (const std::uint32_t delay : {0u, 5u}) {
        die_everywhere({qos, cores, delay, false, 2, true});
        die_everywhere({qos, cores, delay, false, 0, true});
      }
    }
  }
}

TEST_CASE("a will that is due at a slow start waits until every core has told its subscriptions") {
  World world(WorldOptions{.cores = 2, .start_takes = Seconds(3)});
  Client& mortal = world.client("m", 0);
  Device watcher(world.client("s", 1));
  watcher.connect();
  world.run();
  watcher.client.subscribe("will", q2);
  world.run();
  ConnectOptions options = persistent;
  options.will = will_of("will", "dead");
  options.will->qos = q2;
  mortal.connect(options);
  world.run();
  world.crash();
  world.run();
  watcher.connect();
  world.run();
  CHECK(watcher.payloads() == "dead");
}

TEST_CASE("a will that could not be stored is published when storage is well again") {
  for (const auto& [cores, stays] : {std::pair{1, true}, {2, true}, {1, false}, {2, false}}) {
    World world(static_cast<std::uint16_t>(cores));
    Client& mortal = world.client("m", 0);
    Device watcher(world.client("s", 1));
    watcher.connect();
    world.run();
    watcher.client.subscribe("will", q2);
    world.run();
    watcher.client.drop();
    ConnectOptions options = stays ? persistent : ConnectOptions{};
    options.will = will_of("will", "dead");
    options.will->qos = q2;
    mortal.connect(options);
    world.run();
    world.store().fail_write(1, storage::StatusCode::full);
    mortal.drop();
    world.advance(Seconds(10));
    world.store().heal();
    world.advance(Seconds(5));
    watcher.connect();
    world.run();
    CHECK(watcher.payloads() == "dead");
    CHECK(world.leftovers() == 0);
    CHECK(world.records(storage::Family::sessions) == (stays ? 2 : 1));
  }
}

TEST_CASE("a client that is back at once after a crash does not undo a will whose time had come") {
  for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{2}}) {
    World world(cores);
    Client& mortal = world.client("m", 0);
    Device watcher(world.client("s", 1));
    watcher.connect();
    world.run();
    watcher.client.subscribe("will", q2);
    world.run();
    ConnectOptions options = persistent;
    std::string expected;
    SUBCASE("without a delay") {
      options.will = will_of("will", "dead");
      expected = "dead";
    }
    SUBCASE("with one that ended while the server was away") {
      options.will = will_of("will", "dead", 5);
      expected = "dead";
    }
    SUBCASE("with one that has not ended [MQTT-3.1.3-9]") {
      options.will = will_of("will", "dead", 50);
    }
    options.will->qos = q2;
    mortal.connect(options);
    world.run();
    if (options.will->delay_interval != 0) {
      mortal.drop();
      world.run();
      world.skip(Seconds(10));
    }
    world.crash();
    mortal.connect(persistent);
    watcher.connect();
    world.run();
    world.advance(Seconds(100));
    CHECK(watcher.payloads() == expected);
    CHECK(world.leftovers() == 0);
  }
}
