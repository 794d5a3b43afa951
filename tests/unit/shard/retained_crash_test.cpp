// The server dies after every single step of retained publishing. What was acknowledged is what a
// new subscriber is given, whichever cores publisher and topic live on.
#include <doctest/doctest.h>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

struct Scenario {
  mqtt::Qos qos = q2;
  std::uint16_t cores = 2;
  std::uint16_t owner = 1;  ///< core that keeps the topic's retained message
  bool recipient = false;   ///< a persistent subscriber beside
};

/// False: it went through without reaching step `crash_after`.
bool publish_and_die(const Scenario& scenario, std::uint64_t crash_after) {
  World world(scenario.cores);
  Device publisher(world.client("p", 0));
  Device subscriber(world.client("s", 1));
  const std::string topic = world.topic_on(scenario.owner, "t/");
  publisher.connect();
  subscriber.connect();
  world.run();
  if (scenario.recipient) {
    subscriber.client.subscribe("t/#", q2);
    world.run();
  }
  publisher.publish(topic, "old", scenario.qos, true);
  world.run();
  world.crash_at_step = world.steps() + crash_after;
  bool crashed = false;
  try {
    publisher.publish(topic, "new", scenario.qos, true);
    world.run();
  } catch (const World::Crashed&) {
    crashed = true;
  }
  world.crash();
  publisher.connect();
  subscriber.connect();
  world.run();
  CHECK(publisher.open.empty());
  if (scenario.recipient && scenario.qos == q2) {
    CHECK(subscriber.payloads() == "oldnew");
  }
  Device reader(world.client("r", 0));
  reader.connect({});
  reader.client.subscribe("t/#", q1);
  world.run();
  CHECK(reader.payloads() == "new");
  CHECK(world.leftovers() == 0);
  return crashed;
}

}  // namespace

TEST_CASE("a crash at any step leaves no acknowledged retained message behind") {
  for (const mqtt::Qos qos : {q1, q2}) {
    for (const std::uint16_t owner : {std::uint16_t{0}, std::uint16_t{1}}) {
      for (const bool recipient : {false, true}) {
        bool crashed = true;
        for (std::uint64_t step = 1; crashed; ++step) {
          CAPTURE(step);
          CAPTURE(static_cast<int>(qos));
          CAPTURE(owner);
          CAPTURE(recipient);
          crashed = publish_and_die({qos, 2, owner, recipient}, step);
        }
      }
    }
  }
}

TEST_CASE("a crash while a retained message is on its way to its keeper does not turn the order") {
  World world(2);
  Device publisher(world.client("p", 0));
  Device subscriber(world.client("s", 0));
  publisher.connect();
  subscriber.connect();
  world.run();
  subscriber.client.subscribe("t/#", q2);
  world.run();
  subscriber.client.drop();
  world.run();
  const std::string topic = world.topic_on(1, "t/");
  world.mail_held = true;
  publisher.publish(topic, "a", q2, true);
  publisher.publish(topic, "b", q2);
  world.run();
  world.crash();
  publisher.connect();
  world.run();
  subscriber.connect();
  world.advance(Seconds(1));
  CHECK(subscriber.payloads() == "ab");
  CHECK(publisher.open.empty());
  CHECK(world.leftovers() == 0);
}
