// What a start does to sessions: those that were to end with their connection have ended, and
// queues keep their caps.
#include <doctest/doctest.h>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using storage::Family;

namespace {

/// Connected, on disk, and to end with its connection.
void open_for_now(World& world, Device& device) {
  device.connect();
  world.run();
  device.client.subscribe("t", q1);
  world.run();
  device.client.drop();
  device.connect({.clean = false, .expiry = 0});
  world.run();
}

}  // namespace

TEST_CASE("a session without expiry ends with the server: nothing for it is kept or lost") {
  for (const bool comes_back : {false, true}) {
    CAPTURE(comes_back);
    World world(2);
    Device publisher(world.client("p", 0));
    Device subscriber(world.client("s", 1));
    open_for_now(world, subscriber);
    world.restart();
    publisher.connect();
    world.run();
    publisher.publish("t", "x", q1);
    world.run();
    CHECK(publisher.acknowledged.size() == 1);
    subscriber.client.heard();
    if (comes_back) {
      subscriber.connect();
      world.run();
      CHECK(subscriber.client.heard() == "CONNACK 0x00");
    }
    world.advance(Seconds(2));
    CHECK(world.leftovers() == 0);
    CHECK(world.records(Family::subscriptions) == 0);
  }
}

TEST_CASE(
    "a queue that is over its cap at start drops the oldest, but not for what was in flight") {
  World world(1);
  Device publisher(world.client("p"));
  Device subscriber(world.client("s"));
  publisher.connect();
  subscriber.connect();
  world.run();
  subscriber.client.subscribe("t", q1);
  world.run();
  subscriber.client.drop();
  for (const char* payload : {"a", "b", "c", "d", "e", "f", "g"}) {
    publisher.publish("t", payload, q1);
    world.run();
  }
  world.limits().session_queue_messages_max = 3;
  world.limits().inflight_max = 2;
  world.crash();
  CHECK(world.dropped(DropReason::queue_full) == 2);
  world.run();
  CHECK(world.records(Family::messages) == 5);
  subscriber.connect();
  world.advance(Seconds(1));
  CHECK(subscriber.payloads() == "cdefg");
  CHECK(world.leftovers() == 0);
}
