// QoS 1 and 2 in both directions, on one core and across cores: order, windows, packet ids, what
// is sent again.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Reason;
using mqtt::Version;

namespace {

constexpr std::uint16_t core_counts[] = {1, 2, 3};

/// A publisher on core 0 and a subscriber on core 0 or 1, both connected, nothing heard yet.
struct Pair {
  explicit Pair(std::uint16_t cores, ConnectOptions publisher_options = {},
                ConnectOptions subscriber_options = {}, WorldOptions options = {})
      : world((options.cores = cores, options)),
        publisher(world.client("p", 0)),
        subscriber(world.client("s", cores == 1 ? 0 : 1)) {
    publisher.connect(publisher_options);
    subscriber.connect(subscriber_options);
    world.run();
    subscriber.subscribe("t/#", q2);
    world.run();
    publisher.heard();
    subscriber.heard();
  }
  void quiet() {
    world.run();
    publisher.heard();
    subscriber.heard();
  }

  World world;
  Client& publisher;
  Client& subscriber;
};

}  // namespace

TEST_CASE("each QoS is delivered at the lower of both and acknowledged in its way") {
  for (const std::uint16_t cores : core_counts) {
    for (const bool durable : {false, true}) {
      CAPTURE(cores);
      CAPTURE(durable);
      const ConnectOptions how = durable ? persistent : ConnectOptions{};
      Pair pair(cores, how, how);
      pair.publisher.publish("t/0", "zero");
      pair.publisher.publish("t/1", "one", {.qos = q1});
      pair.publisher.publish("t/2", "two", {.qos = q2});
      pair.world.run();
      CHECK(pair.publisher.heard() == "PUBACK #1; PUBREC #2");
      CHECK(pair.subscriber.heard() ==
            "PUBLISH t/0=zero q0; PUBLISH t/1=one q1 #1; PUBLISH t/2=two q2 #2");
      pair.publisher.pubrel(2);
      pair.subscriber.puback(1);
      pair.subscriber.pubrec(2);
      pair.world.run();
      CHECK(pair.publisher.heard() == "PUBCOMP #2");
      CHECK(pair.subscriber.heard() == "PUBREL #2");
      pair.subscriber.pubcomp(2);
      pair.world.run();
      CHECK(pair.world.leftovers() == 0);
    }
  }
}

TEST_CASE("a subscription's QoS lowers the message's") {
  World world(2);
  Client& publisher = world.client("p", 0);
  publisher.connect();
  const mqtt::Qos levels[] = {q0, q1, q2};
  for (const mqtt::Qos granted : levels) {
    Client& subscriber = world.client("s" + std::to_string(static_cast<int>(granted)), 1);
    subscriber.connect();
    subscriber.subscribe("t", granted);
    world.run();
    subscriber.heard();
    for (const mqtt::Qos published : levels) {
      publisher.publish("t", "x", {.qos = published});
      world.run();
      const int lower = std::min(static_cast<int>(granted), static_cast<int>(published));
      CHECK(subscriber.heard().substr(0, 14) == "PUBLISH t=x q" + std::to_string(lower));
    }
  }
}

TEST_CASE("3.1 and 3.1.1 speak the same QoS flows") {
  for (const Version version : {Version::v3_1, Version::v3_1_1}) {
    World world(1);
    Client& client = world.client("a", 0, version);
    client.connect(persistent);
    world.run();
    client.subscribe("t", q2);
    world.run();
    CHECK(client.heard() == "CONNACK 0x00; SUBACK #1 0x02");
    client.publish("t", "x", {.qos = q2});
    world.run();
    CHECK(client.heard() == "PUBREC #2; PUBLISH t=x q2 #1");
    client.pubrel(2);
    client.pubrec(1);
    world.run();
    CHECK(client.heard() == "PUBCOMP #2; PUBREL #1");
    client.pubcomp(1);
    world.run();
    CHECK(world.leftovers() == 0);
  }
}

TEST_CASE("a QoS 2 PUBLISH that comes twice is routed once") {
  for (const bool durable : {false, true}) {
    Pair pair(1, durable ? persistent : ConnectOptions{});
    pair.publisher.publish("t", "x", {.qos = q2, .packet_id = 7});
    pair.publisher.publish("t", "x", {.qos = q2, .dup = true, .packet_id = 7});
    pair.world.run();
    CHECK(pair.publisher.heard() == "PUBREC #7; PUBREC #7");
    CHECK(pair.subscriber.heard() == "PUBLISH t=x q2 #1");
    pair.publisher.pubrel(7);
    pair.world.run();
    CHECK(pair.publisher.heard() == "PUBCOMP #7");
    pair.publisher.publish("t", "y", {.qos = q2, .packet_id = 7});
    pair.world.run();
    CHECK(pair.publisher.heard() == "PUBREC #7");
    CHECK(pair.subscriber.heard() == "PUBLISH t=y q2 #2");
  }
}

TEST_CASE("PUBREL of an unknown packet id is answered with 0x92, PUBREC likewise") {
  Pair pair(1);
  pair.publisher.pubrel(9);
  CHECK(pair.publisher.heard() == "PUBCOMP #9 0x92");
  pair.subscriber.pubrec(9);
  CHECK(pair.subscriber.heard() == "PUBREL #9 0x92");
}

TEST_CASE("late or foreign PUBACK and PUBCOMP are ignored") {
  Pair pair(1, {}, persistent);
  pair.publisher.publish("t", "x", {.qos = q1});
  pair.quiet();
  pair.subscriber.puback(1);
  pair.subscriber.puback(1);
  pair.subscriber.puback(77);
  pair.subscriber.pubcomp(77);
  pair.publisher.publish("t", "y", {.qos = q2});
  pair.quiet();
  pair.subscriber.puback(2);
  pair.subscriber.pubcomp(2);  // before PUBREC
  pair.world.run();
  CHECK(pair.subscriber.heard() == "");
  CHECK(pair.subscriber.attached());
  pair.subscriber.pubrec(2);
  pair.world.run();
  CHECK(pair.subscriber.heard() == "PUBREL #2");
  pair.subscriber.pubcomp(2);
  pair.publisher.pubrel(2);
  pair.world.run();
  CHECK(pair.world.leftovers() == 0);
}

TEST_CASE("PUBREC with an error ends the delivery, but not after one that accepted") {
  for (const std::uint16_t cores : core_counts) {
    Pair pair(cores, {}, persistent);
    Client& other = pair.world.client("o", 1);
    other.connect(persistent);
    pair.world.run();
    other.subscribe("t", q2);
    pair.quiet();
    pair.publisher.publish("t", "x", {.qos = q2});
    pair.quiet();
    pair.subscriber.pubrec(1);
    pair.subscriber.send(mqtt::Pubrec{{1}, Reason::unspecified_error, {}, {}});
    pair.world.run();
    CHECK(pair.subscriber.heard() == "PUBREL #1");
    pair.subscriber.pubcomp(1);
    pair.world.run();
    CHECK(pair.world.records(storage::Family::messages) == 1);  // `other` still needs it
    other.send(mqtt::Pubrec{{1}, Reason::unspecified_error, {}, {}});
    pair.world.run();
    CHECK(pair.world.leftovers() == 0);
  }
}

TEST_CASE("no more than the client's Receive Maximum is open, and the rest follows in order") {
  for (const mqtt::Qos qos : {q1, q2}) {
    for (const bool durable : {false, true}) {
      ConnectOptions how = durable ? persistent : ConnectOptions{};
      how.receive_maximum = 2;
      Pair pair(2, {}, how);
      for (const char* payload : {"a", "b", "c"}) {
        pair.publisher.publish("t", payload, {.qos = qos});
      }
      pair.world.run();
      const std::string q = qos == q1 ? "q1" : "q2";
      CHECK(pair.subscriber.heard() == "PUBLISH t=a " + q + " #1; PUBLISH t=b " + q + " #2");
      if (qos == q1) {
        pair.subscriber.puback(1);
      } else {
        pair.subscriber.pubrec(1);
        pair.world.run();
        CHECK(pair.subscriber.heard() == "PUBREL #1");
        pair.subscriber.pubcomp(1);
      }
      pair.world.run();
      CHECK(pair.subscriber.heard() == "PUBLISH t=c " + q + " #3");
    }
  }
}

TEST_CASE("a client that exceeds the server's Receive Maximum is disconnected with 0x93") {
  WorldOptions options;
  options.limits.receive_maximum = 2;
  Pair pair(1, {}, {}, options);
  pair.publisher.publish("t", "a", {.qos = q2});
  pair.publisher.publish("t", "b", {.qos = q2});
  pair.publisher.publish("t", "b", {.qos = q2, .dup = true, .packet_id = 2});
  CHECK(pair.publisher.heard() == "PUBREC #1; PUBREC #2; PUBREC #2");
  pair.publisher.pubrel(1);
  pair.publisher.pubrel(1);
  CHECK(pair.publisher.heard() == "PUBCOMP #1; PUBCOMP #1 0x92");
  pair.publisher.publish("t", "c", {.qos = q1});
  CHECK(pair.publisher.heard() == "PUBACK #3");
  pair.publisher.publish("t", "d", {.qos = q2, .packet_id = 4});
  pair.publisher.publish("t", "e", {.qos = q2, .packet_id = 5});
  CHECK(pair.publisher.heard() == "PUBREC #4; DISCONNECT 0x93");
}

TEST_CASE("after a reconnect what was open is sent again with its packet ids, in order") {
  Pair pair(2, {}, persistent);
  pair.publisher.publish("t", "a", {.qos = q1});
  pair.publisher.publish("t", "b", {.qos = q2});
  pair.publisher.publish("t", "c", {.qos = q1});
  pair.publisher.publish("t", "d", {.qos = q2});
  pair.quiet();
  pair.subscriber.pubrec(3);
  pair.quiet();
  pair.subscriber.drop();
  pair.publisher.publish("t", "e", {.qos = q1});
  pair.world.run();
  pair.subscriber.connect(persistent);
  pair.world.run();
  const std::string heard = pair.subscriber.heard();
  // QoS 1 overtakes the commit of QoS 2; both keep their order.
  CHECK(heard ==
        "CONNACK 0x00 present; PUBLISH t=a q1 #1 dup; PUBLISH t=c q1 #2 dup; PUBREL #3; "
        "PUBLISH t=d q2 #4 dup; PUBLISH t=e q1 #5");
}

TEST_CASE("DUP is not set on what goes out for the first time") {
  ConnectOptions narrow = persistent;
  narrow.receive_maximum = 1;
  Pair pair(1, {}, narrow);
  pair.publisher.publish("t", "a", {.qos = q2});
  pair.publisher.publish("t", "b", {.qos = q2});
  pair.world.run();
  CHECK(pair.subscriber.heard() == "PUBLISH t=a q2 #1");
  pair.subscriber.pubrec(1);
  pair.world.run();
  pair.subscriber.pubcomp(1);
  pair.world.run();
  CHECK(pair.subscriber.heard() == "PUBREL #1; PUBLISH t=b q2 #2");
  pair.subscriber.drop();
  pair.subscriber.connect(narrow);
  pair.world.run();
  CHECK(pair.subscriber.heard() == "CONNACK 0x00 present; PUBLISH t=b q2 #2 dup");
}

TEST_CASE("a session resumed without expiry still gets its QoS 2") {
  Pair pair(1, {}, persistent);
  pair.subscriber.drop();
  pair.publisher.publish("t", "a", {.qos = q2});
  pair.world.run();
  pair.subscriber.connect({.clean = false, .expiry = 0});
  pair.world.run();
  pair.publisher.publish("t", "b", {.qos = q2});
  pair.world.run();
  CHECK(pair.subscriber.heard() == "CONNACK 0x00 present; PUBLISH t=a q2 #1; PUBLISH t=b q2 #2");
  pair.subscriber.drop();
  pair.publisher.pubrel(1);
  pair.publisher.pubrel(2);
  pair.world.run();
  CHECK(pair.world.leftovers() == 0);
  CHECK(pair.world.records(storage::Family::sessions) == 0);
}

TEST_CASE("a message larger than the client takes is dropped and its packet id is free") {
  ConnectOptions small = persistent;
  small.maximum_packet_size = 40;
  for (const mqtt::Qos qos : {q0, q1, q2}) {
    Pair pair(1, {}, small);
    pair.publisher.publish("t", std::string(100, 'x'), {.qos = qos});
    pair.publisher.publish("t", "fits", {.qos = qos});
    pair.world.run();
    CHECK(pair.subscriber.heard().find("fits") != std::string::npos);
    CHECK(pair.world.dropped(DropReason::too_large) == 1);
  }
}

TEST_CASE("what no longer fits after a reconnect does not hold up the rest") {
  Pair pair(1, {}, persistent);
  for (const std::string& payload : {std::string(100, 'x'), std::string("b"), std::string("c")}) {
    pair.publisher.publish("t", payload, {.qos = q1});
  }
  pair.quiet();
  pair.subscriber.drop();
  ConnectOptions small = persistent;
  small.maximum_packet_size = 40;
  pair.subscriber.connect(small);
  pair.world.run();
  CHECK(pair.subscriber.heard() ==
        "CONNACK 0x00 present; PUBLISH t=b q1 #2 dup; PUBLISH t=c q1 #3 dup");
}

TEST_CASE("an alias is counted as known only when the packet that sets it was sent") {
  ConnectOptions how;
  how.maximum_packet_size = 40;
  how.topic_alias_maximum = 1;
  for (const mqtt::Qos qos : {q0, q1}) {
    Pair pair(1, {}, how);
    pair.publisher.publish("t/x", std::string(100, 'x'), {.qos = qos});
    pair.publisher.publish("t/x", "1", {.qos = qos});
    pair.publisher.publish("t/x", "2", {.qos = qos});
    pair.publisher.publish("t/y", "3", {.qos = qos});
    pair.world.run();
    const std::string text = pair.subscriber.heard();
    CHECK(text.find("PUBLISH t/x=1") == 0);
    CHECK(text.find("PUBLISH =2") != std::string::npos);
    CHECK(text.find("PUBLISH t/y=3") != std::string::npos);
  }
}

TEST_CASE("messages of one publisher keep their order, also in random order of events") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Pair pair(3, persistent, persistent, {.seed = seed});
    pair.subscriber.answers = true;
    std::map<int, std::string> seen;
    pair.subscriber.on_packet = [&](const mqtt::Packet& packet) {
      if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
        seen[static_cast<int>(publish->qos)] += as_text(publish->payload);
      }
    };
    for (char letter = 'a'; letter <= 'z'; ++letter) {
      pair.publisher.publish("t", std::string(1, letter), {.qos = letter % 2 == 0 ? q1 : q2});
      for (std::uint64_t i = 0; i < pair.world.random()() % 4; ++i) {
        pair.world.step_random();
      }
    }
    pair.world.run_random();
    CHECK(seen[1] == "bdfhjlnprtvxz");
    CHECK(seen[2] == "acegikmoqsuwy");
  }
}

TEST_CASE("a QoS 2 publisher whose session ends while other cores are asked leaves no packet id") {
  World world(2);
  Client& subscriber = world.client("s", 1);
  subscriber.connect(persistent);
  subscriber.subscribe("t", q2);
  world.run();
  Client& publisher = world.client("p", 0);
  publisher.connect(persistent);
  world.run();
  world.mail_held = true;
  publisher.publish("t", "x", {.qos = q2});
  world.run();
  publisher.disconnect(mqtt::Reason::success, 0);
  world.run();
  world.mail_held = false;
  world.run();
  CHECK(world.records(storage::Family::inflight) == 1);  // of the subscriber
  CHECK(subscriber.heard().find("=x q2 #1") != std::string::npos);
}

TEST_CASE("No Local holds for what an earlier session of the same client has sent") {
  World world(1);
  Client& client = world.client("c");
  client.connect();
  Client& keeper = world.client("k");  // whose subscription makes the message wait for storage
  keeper.connect(persistent);
  world.run();
  keeper.subscribe("t", q2);
  world.run();
  world.commits_held = true;
  client.publish("t", "mine", {.qos = q2});
  client.drop();
  client.connect();
  client.heard();
  client.subscribe("t", q2, {.maximum_qos = q2, .no_local = true});
  world.commits_held = false;
  world.run();
  CHECK(client.heard().find("PUBLISH") == std::string::npos);
  CHECK(keeper.heard().find("t=mine") != std::string::npos);
}
