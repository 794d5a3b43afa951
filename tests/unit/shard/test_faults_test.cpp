// The planted bugs do what they are called, so that a tool which finds them has found something.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

/// A publisher and a subscriber with persistent sessions on one core.
struct Faulty {
  explicit Faulty(shard::TestFaults faults)
      : world(WorldOptions{.faults = faults}),
        publisher(world.client("p", 0)),
        subscriber(world.client("s", 0)) {
    publisher.connect(persistent);
    ConnectOptions narrow = persistent;
    narrow.receive_maximum = 1;
    subscriber.connect(narrow);
    world.run();
    subscriber.subscribe("t", q2);
    world.run();
    publisher.heard();
    subscriber.heard();
  }

  World world;
  Client& publisher;
  Client& subscriber;
};

}  // namespace

TEST_CASE("acknowledge_before_commit answers while the commit is under way") {
  for (const bool planted : {false, true}) {
    CAPTURE(planted);
    Faulty faulty({.acknowledge_before_commit = planted});
    faulty.world.commits_held = true;
    faulty.publisher.publish("t", "one", {.qos = q1});
    faulty.publisher.publish("t", "two", {.qos = q2});
    faulty.world.run();
    CHECK(faulty.publisher.heard() == (planted ? "PUBACK #1; PUBREC #2" : ""));
    faulty.world.commits_held = false;
    faulty.world.run();
    CHECK(faulty.publisher.heard() == (planted ? "" : "PUBACK #1; PUBREC #2"));
  }
}

TEST_CASE("forget_qos2_id takes a resend for a new message, at once and after a crash") {
  for (const bool planted : {false, true}) {
    for (const bool crash : {false, true}) {
      CAPTURE(planted);
      CAPTURE(crash);
      Faulty faulty({.forget_qos2_id = planted});
      faulty.subscriber.drop();
      faulty.publisher.publish("t", "once", {.qos = q2, .packet_id = 7});
      faulty.world.run();
      CHECK(faulty.publisher.heard() == "PUBREC #7");
      if (crash) {
        faulty.world.crash();
      } else {
        faulty.publisher.drop();
      }
      faulty.publisher.connect(persistent);
      faulty.world.run();
      faulty.publisher.publish("t", "once", {.qos = q2, .dup = true, .packet_id = 7});
      faulty.world.run();
      faulty.publisher.pubrel(7);
      faulty.world.run();
      CHECK(faulty.world.records(storage::Family::messages) == (planted ? 2 : 1));
    }
  }
}

TEST_CASE("drop_on_takeover loses what waited") {
  for (const bool planted : {false, true}) {
    CAPTURE(planted);
    Faulty faulty({.drop_on_takeover = planted});
    faulty.publisher.publish("t", "one", {.qos = q1});
    faulty.publisher.publish("t", "two", {.qos = q1});
    faulty.world.run();
    CHECK(faulty.subscriber.heard() == "PUBLISH t=one q1 #1");
    faulty.subscriber.answers = true;
    faulty.subscriber.connect(persistent);
    faulty.world.run();
    const std::string heard = faulty.subscriber.heard();
    CHECK((heard.find("t=two") == std::string::npos) == planted);
    CHECK(faulty.world.leftovers() == 0);
  }
}
