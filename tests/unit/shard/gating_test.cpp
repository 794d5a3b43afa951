// What waits for the commit, and what a failed commit ends as.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Reason;
using mqtt::Version;
using storage::StatusCode;

namespace {

constexpr std::uint16_t core_counts[] = {1, 2};

struct Gated {
  explicit Gated(std::uint16_t cores, Version version = Version::v5)
      : world(cores), publisher(world.client("p", 0, version)), subscriber(world.client("s", 1)) {
    publisher.connect(persistent);
    subscriber.connect(persistent);
    world.run();
    subscriber.subscribe("t/#", q2);
    world.run();
    publisher.heard();
    subscriber.heard();
  }
  void hold() { world.commits_held = true; }
  void release() {
    world.commits_held = false;
    world.run();
  }

  World world;
  Client& publisher;
  Client& subscriber;
};

}  // namespace

TEST_CASE("nothing durable is acknowledged before the commit, and QoS 1 is delivered meanwhile") {
  for (const std::uint16_t cores : core_counts) {
    Gated gated(cores);
    gated.hold();
    gated.publisher.publish("t", "a", {.qos = q1});
    gated.publisher.publish("t", "b", {.qos = q2});
    gated.world.run();
    CHECK(gated.publisher.heard() == "");
    CHECK(gated.subscriber.heard() == "PUBLISH t=a q1 #1");
    gated.release();
    CHECK(gated.publisher.heard() == "PUBACK #1; PUBREC #2");
    CHECK(gated.subscriber.heard() == "PUBLISH t=b q2 #2");
    gated.hold();
    gated.publisher.pubrel(2);
    gated.subscriber.pubrec(2);
    gated.world.run();
    CHECK(gated.publisher.heard() == "");
    CHECK(gated.subscriber.heard() == "");
    gated.release();
    CHECK(gated.publisher.heard() == "PUBCOMP #2");
    CHECK(gated.subscriber.heard() == "PUBREL #2");
    gated.hold();
    gated.subscriber.subscribe("u", q1);
    gated.subscriber.unsubscribe("u");
    gated.world.run();
    CHECK(gated.subscriber.heard() == "");
    gated.release();
    CHECK(gated.subscriber.heard() == "SUBACK #2 0x01; UNSUBACK #3 0x00");
  }
}

TEST_CASE(
    "answers keep their order though a later one needs no commit, and PINGRESP does not wait") {
  Gated gated(1);
  gated.hold();
  gated.publisher.publish("t", "a", {.qos = q1});
  gated.publisher.publish("nobody", "b", {.qos = q1});
  gated.publisher.send(mqtt::Pingreq{});
  CHECK(gated.publisher.heard() == "PINGRESP");
  gated.release();
  CHECK(gated.publisher.heard() == "PUBACK #1; PUBACK #2");
}

TEST_CASE("clean sessions wait for nothing") {
  World world(1);
  world.commits_held = true;
  Client& client = world.client("a");
  client.connect();
  client.subscribe("t", q2);
  client.publish("t", "x", {.qos = q2});
  client.pubrel(2);
  CHECK(client.heard() == "CONNACK 0x00; SUBACK #1 0x02; PUBLISH t=x q2 #1; PUBREC #2; PUBCOMP #2");
  CHECK_FALSE(world.step_commit());
}

TEST_CASE("a commit that fails is told as 0x97 and delivers no QoS 2") {
  for (const std::uint16_t cores : core_counts) {
    Gated gated(cores);
    gated.world.store().fail_write(1, StatusCode::full);
    gated.publisher.publish("t", "a", {.qos = q1});
    gated.publisher.publish("t", "b", {.qos = q2});
    gated.world.run();
    CHECK(gated.publisher.heard() == "PUBACK #1 0x97; PUBREC #2 0x97");
    CHECK(gated.subscriber.heard() == "PUBLISH t=a q1 #1");
    gated.subscriber.puback(1);
    gated.world.store().heal();
    gated.publisher.publish("t", "c", {.qos = q2, .packet_id = 2});
    gated.world.run();
    CHECK(gated.publisher.heard() == "PUBREC #2");
    CHECK(gated.subscriber.heard() == "PUBLISH t=c q2 #2");
  }
}

TEST_CASE("in 3.1.1 a commit that fails ends the connection, and the message can come again") {
  for (const std::uint16_t cores : core_counts) {
    for (const mqtt::Qos qos : {q1, q2}) {
      Gated gated(cores, Version::v3_1_1);
      gated.world.store().fail_write(1, StatusCode::full);
      gated.publisher.publish("t", "a", {.qos = qos});
      gated.world.run();
      CHECK(gated.publisher.heard() == "");
      CHECK_FALSE(gated.publisher.attached());
      gated.world.store().heal();
      gated.publisher.connect(persistent);
      gated.world.run();
      gated.publisher.heard();
      gated.subscriber.heard();
      gated.publisher.publish("t", "a", {.qos = qos, .dup = true, .packet_id = 1});
      gated.world.run();
      CHECK(gated.publisher.heard() == (qos == q1 ? "PUBACK #1" : "PUBREC #1"));
      CHECK(gated.subscriber.heard().find("PUBLISH t=a") != std::string::npos);
    }
  }
}

TEST_CASE("a QoS 2 message whose commit failed after its connection was lost is not received") {
  Gated gated(1);
  gated.hold();
  gated.publisher.publish("t", "a", {.qos = q2});
  gated.publisher.drop();
  gated.world.store().fail_write(1, StatusCode::full);
  gated.release();
  gated.world.store().heal();
  gated.publisher.connect(persistent);
  gated.world.run();
  gated.publisher.publish("t", "a", {.qos = q2, .dup = true, .packet_id = 1});
  gated.world.run();
  CHECK(gated.subscriber.heard() == "PUBLISH t=a q2 #1");
}

TEST_CASE("a QoS 2 message that comes again on a new connection still waits for the first commit") {
  Gated gated(1);
  gated.hold();
  gated.publisher.publish("t", "a", {.qos = q2});
  gated.publisher.drop();
  gated.publisher.connect(persistent);
  gated.publisher.publish("t", "a", {.qos = q2, .dup = true, .packet_id = 1});
  gated.world.run();
  CHECK(gated.publisher.heard() == "CONNACK 0x00 present");
  SUBCASE("passed") {
    gated.release();
    CHECK(gated.publisher.heard() == "PUBREC #1");
    CHECK(gated.subscriber.heard() == "PUBLISH t=a q2 #1");
  }
  SUBCASE("failed") {
    gated.world.store().fail_write(1, StatusCode::full);
    gated.release();
    CHECK(gated.publisher.heard() == "PUBREC #1 0x97");
    CHECK(gated.subscriber.heard() == "");
  }
}

TEST_CASE("QoS 2 deliveries whose packet ids could not be stored go out later, in order") {
  for (const std::uint16_t cores : core_counts) {
    Gated gated(cores);
    gated.subscriber.drop();
    for (const char* payload : {"a", "b", "c"}) {
      gated.publisher.publish("t", payload, {.qos = q2});
    }
    gated.world.run();
    gated.subscriber.connect(persistent);
    while (gated.world.step_mail()) {
    }
    gated.world.store().fail_write(1, StatusCode::full);
    gated.world.run();
    CHECK_FALSE(gated.subscriber.attached());
    gated.world.store().heal();
    gated.subscriber.heard();
    gated.subscriber.connect(persistent);
    gated.world.run();
    CHECK(gated.subscriber.heard() ==
          "CONNACK 0x00 present; PUBLISH t=a q2 #1; PUBLISH t=b q2 #2; PUBLISH t=c q2 #3");
  }
}

TEST_CASE("what follows a lost QoS 2 message is not delivered before that comes again") {
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    Gated gated(1, version);
    gated.publisher.publish("t", "a", {.qos = q2});
    gated.publisher.publish("t", "b", {.qos = q2});
    gated.publisher.drop();  // nobody can be told of a failure
    gated.world.store().fail_write(1, StatusCode::full);
    gated.world.step_commit();
    gated.world.store().heal();
    gated.world.run();
    CHECK(gated.subscriber.heard() == "");
    CHECK(gated.world.leftovers() == 0);
    gated.publisher.connect(persistent);
    gated.world.run();
    gated.publisher.publish("t", "a", {.qos = q2, .dup = true, .packet_id = 1});
    gated.publisher.publish("t", "b", {.qos = q2, .dup = true, .packet_id = 2});
    gated.world.run();
    CHECK(gated.subscriber.heard() == "PUBLISH t=a q2 #1; PUBLISH t=b q2 #2");
  }
}

TEST_CASE("a QoS 2 delivery waits behind one whose packet id could not be stored") {
  for (const bool crashes : {false, true}) {
    Gated gated(1);
    gated.publisher.publish("t", "a", {.qos = q2});
    gated.world.step_commit();
    gated.world.step_completion();  // "a" is stored, its packet id is on the way
    gated.publisher.publish("t", "b", {.qos = q2});
    gated.world.store().fail_write(1, StatusCode::full);
    gated.world.step_commit();
    gated.world.store().heal();
    gated.subscriber.drop();
    gated.world.run();
    gated.publisher.heard();
    if (crashes) {
      gated.world.crash();
    }
    gated.subscriber.connect(persistent);
    gated.world.run();
    const std::string text = gated.subscriber.heard();
    CHECK(text.find("t=a q2") != std::string::npos);
    CHECK((text.find("t=b q2") == std::string::npos || text.find("t=a q2") < text.find("t=b q2")));
  }
}

TEST_CASE("what was ticked off while storage failed is deleted when it is well again") {
  for (const std::uint16_t cores : core_counts) {
    for (const mqtt::Qos qos : {q1, q2}) {
      for (const bool two : {false, true}) {
        CAPTURE(cores);
        CAPTURE(two);
        Gated gated(cores);
        Client& second = gated.world.client("s2", 0);
        second.connect(persistent);
        gated.world.run();
        if (two) {
          second.subscribe("t", q2);
          gated.world.run();
        }
        gated.publisher.publish("t", "a", {.qos = qos});
        gated.world.run();
        gated.world.store().fail_write(1, StatusCode::full);
        if (qos == q1) {
          gated.subscriber.puback(1);
        } else {
          gated.subscriber.pubrec(1);
        }
        gated.world.run();
        gated.world.store().heal();
        if (qos == q2) {
          CHECK_FALSE(gated.subscriber.attached());
          gated.subscriber.answers = true;
          gated.subscriber.connect(persistent);
          gated.world.run();
        }
        if (two) {
          second.answers = true;
          if (qos == q1) {
            second.puback(1);
          } else {
            second.pubrec(1);
          }
        }
        if (qos == q2) {
          gated.publisher.pubrel(1);
        }
        gated.world.advance(Seconds(10));
        CHECK(gated.world.leftovers() == 0);
      }
    }
  }
}

TEST_CASE("a session whose record could not be stored is stored when storage is well again") {
  World world(1);
  Client& client = world.client("a");
  world.store().fail_write(1, StatusCode::full);
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x97");
  CHECK_FALSE(client.attached());
  client.connect(persistent);
  world.run();
  client.heard();
  world.store().heal();
  client.connect(persistent);
  world.run();
  client.subscribe("t", q1);
  world.advance(Seconds(5));
  world.crash();
  client.heard();
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00 present");
}

TEST_CASE("a session that was removed while storage failed does not come back") {
  World world(1);
  Client& client = world.client("a");
  client.connect(persistent);
  world.run();
  client.subscribe("t", q1);
  world.run();
  client.drop();
  world.run();
  world.store().fail_write(1, StatusCode::full);
  client.connect({.clean = true});
  world.run();
  world.store().heal();
  world.advance(Seconds(5));
  world.crash();
  CHECK(world.records(storage::Family::sessions) == 0);
  CHECK(world.records(storage::Family::subscriptions) == 0);
}

TEST_CASE("UNSUBSCRIBE that could not be stored can be said again") {
  World world(1);
  Client& client = world.client("a");
  client.connect(persistent);
  world.run();
  client.subscribe("t", q1);
  world.run();
  world.store().fail_write(1, StatusCode::full);
  client.unsubscribe("t");
  world.run();
  CHECK_FALSE(client.attached());
  world.store().heal();
  client.connect(persistent);
  client.unsubscribe("t");
  world.run();
  CHECK(world.records(storage::Family::subscriptions) == 0);
}

TEST_CASE("congestion pauses reading, commits do not resume it, and the keep-alive is excused") {
  Gated gated(1);
  gated.publisher.drop();
  gated.publisher.connect({.clean = false, .expiry = 3600, .keep_alive = 1});
  gated.world.run();
  gated.world.congested = true;
  gated.publisher.publish("t", "a", {.qos = q1});
  gated.world.run();
  CHECK(gated.publisher.link().paused);
  gated.world.advance(Seconds(10));
  CHECK(gated.publisher.attached());
  gated.world.congested = false;
  gated.world.advance(Milliseconds(10));
  CHECK_FALSE(gated.publisher.link().paused);
  gated.world.advance(Seconds(2));
  CHECK_FALSE(gated.publisher.attached());
}
