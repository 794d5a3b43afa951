// Shared subscriptions over several cores.
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Reason;

namespace {

struct Fleet {
  explicit Fleet(std::uint16_t cores, int members, ConnectOptions how = persistent,
                 WorldOptions options = {})
      : world((options.cores = cores, options)), publisher(world.client("p", 0)) {
    publisher.connect();
    for (int i = 0; i < members; ++i) {
      const auto core = static_cast<std::uint16_t>(i);
      auto& device = devices.emplace_back(
          std::make_unique<Device>(world.client("m" + std::to_string(i), core)));
      device->connect(how);
      world.run();
      device->client.subscribe("$share/g/t/#", q2);
    }
    world.run();
  }
  Device& operator[](std::size_t i) { return *devices[i]; }
  std::string all() const {
    std::string text;
    for (const auto& device : devices) {
      text += device->payloads();
    }
    std::sort(text.begin(), text.end());
    return text;
  }

  World world;
  Device publisher;
  std::vector<std::unique_ptr<Device>> devices;
};

constexpr mqtt::Qos levels[] = {q0, q1, q2};

}  // namespace

TEST_CASE("each message goes to one member, and all members get their share") {
  for (const mqtt::Qos qos : levels) {
    Fleet fleet(3, 6);
    for (int i = 0; i < 60; ++i) {
      fleet.publisher.publish("t/x", "x", qos);
      fleet.world.run();
    }
    CHECK(fleet.all() == std::string(60, 'x'));
    for (const auto& device : fleet.devices) {
      CHECK(device->delivered.size() == 10);
    }
    CHECK(fleet.world.leftovers() == 0);
  }
}

TEST_CASE("a member whose connection is lost is passed over") {
  Fleet fleet(2, 2);
  fleet[1].client.drop();
  fleet.world.run();
  for (int i = 0; i < 10; ++i) {
    fleet.publisher.publish("t/x", "x", q1);
  }
  fleet.world.run();
  CHECK(fleet[0].delivered.size() == 10);
}

TEST_CASE("while all members are away messages wait once, in order, also over a restart") {
  for (const mqtt::Qos qos : {q1, q2}) {
    for (const bool restarts : {false, true}) {
      Fleet fleet(3, 3);
      for (const auto& device : fleet.devices) {
        device->client.drop();
      }
      fleet.world.run();
      for (const char* payload : {"a", "b", "c"}) {
        fleet.publisher.publish("t/x", payload, qos);
      }
      fleet.world.run();
      CHECK(fleet.publisher.open.empty());
      CHECK(fleet.world.records(storage::Family::messages) == 3);
      if (restarts) {
        fleet.world.restart(2);
      }
      fleet[1].connect();
      fleet.world.run();
      CHECK(fleet[1].payloads() == "abc");
      CHECK(fleet.world.leftovers() == 0);
    }
  }
}

TEST_CASE("what a member leaves unacknowledged at QoS 1 goes to another, at QoS 2 only unsent") {
  for (const mqtt::Qos qos : {q1, q2}) {
    for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{2}}) {
      Fleet fleet(cores, 2, {});
      fleet[0].client.answers = false;
      fleet[1].client.answers = false;
      fleet.publisher.publish("t/x", "a", qos);
      fleet.publisher.publish("t/x", "b", qos);
      fleet.world.run();
      CHECK(fleet.all() == "ab");
      fleet[0].client.drop();
      fleet.world.run();
      CHECK(fleet[1].delivered.size() == (qos == q1 ? 2 : 1));
    }
  }
}

TEST_CASE("what has expired when a member gives it back goes to nobody else [MQTT-3.3.2-5]") {
  for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{2}}) {
    Fleet fleet(cores, 2);
    fleet[0].client.answers = false;
    fleet[1].client.subscribe("$share/g/t/#", q0);
    fleet.world.run();
    fleet.publisher.client.publish("t/x", "a", {.qos = q1, .expiry = 5});
    fleet.publisher.client.publish("t/x", "b", {.qos = q1, .expiry = 5});
    fleet.world.run();
    CHECK(fleet.all() == "ab");
    fleet.world.skip(Seconds(10));
    fleet[0].client.disconnect(Reason::success, 0);
    fleet.world.run();
    CHECK(fleet.all() == "ab");
    CHECK(fleet.world.dropped(DropReason::expired) == 1);
    fleet[1].client.disconnect(Reason::success, 0);
    fleet.world.run();
    CHECK(fleet.world.leftovers() == 0);
  }
}

TEST_CASE("messages that come back keep their order before later ones") {
  for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{2}}) {
    ConnectOptions narrow = persistent;
    narrow.receive_maximum = 1;
    Fleet fleet(cores, 1, narrow);
    fleet[0].client.answers = false;
    for (const char* payload : {"a", "b", "c"}) {
      fleet.publisher.publish("t/x", payload, q1);
    }
    fleet.world.run();
    CHECK(fleet[0].payloads() == "a");
    // Another member comes; the first ends its session with one sent and two waiting.
    Device other(fleet.world.client("o", 1));
    fleet[0].client.disconnect(Reason::success, 0);
    other.connect();
    fleet.world.run();
    other.client.subscribe("$share/g/t/#", q1);
    fleet.world.advance(Seconds(1));
    CHECK((other.payloads() == "abc" || other.payloads().empty()));  // the group may have ended
  }
  Fleet fleet(2, 2);
  fleet[0].client.answers = false;
  Device& stays = fleet[1];
  stays.client.drop();
  fleet.world.run();
  for (const char* payload : {"a", "b", "c", "d"}) {
    fleet.publisher.publish("t/x", payload, q1);
  }
  fleet.world.run();
  CHECK(fleet[0].payloads() == "abcd");
  fleet[0].client.disconnect(Reason::success, 0);
  fleet.world.run();
  fleet.publisher.publish("t/x", "e", q1);
  fleet.world.run();
  stays.connect();
  fleet.world.advance(Seconds(1));
  CHECK(stays.payloads() == "abcde");
  CHECK(fleet.world.leftovers() == 0);
}

TEST_CASE("messages behind a long queue do not overtake it") {
  Fleet fleet(2, 1);
  fleet[0].client.drop();
  fleet.world.run();
  for (int i = 0; i < 600; ++i) {
    fleet.publisher.publish("t/x", std::to_string(i), q1);
  }
  fleet.world.run();
  fleet[0].connect();
  fleet.world.run();
  for (int i = 600; i < 700; ++i) {
    fleet.publisher.publish("t/x", std::to_string(i), q1);
    fleet.world.run();
  }
  fleet.world.advance(Seconds(1));
  REQUIRE(fleet[0].delivered.size() == 700);
  bool in_order = true;
  for (std::size_t i = 0; i < 700; ++i) {
    in_order = in_order && fleet[0].delivered[i].second == std::to_string(i);
  }
  CHECK(in_order);
}

TEST_CASE("one client in two groups and with a subscription of its own gets each message thrice") {
  for (const bool crashes : {false, true}) {
    World world(2);
    Device publisher(world.client("p", 0));
    Device member(world.client("m", 1));
    publisher.connect();
    member.connect();
    world.run();
    for (const char* filter : {"$share/g/t", "$share/h/t", "t"}) {
      member.client.subscribe(filter, q2);
    }
    world.run();
    member.client.answers = false;
    publisher.publish("t", "x", q2);
    world.run();
    CHECK(member.payloads() == "xxx");
    if (crashes) {
      world.crash();
    } else {
      member.client.drop();
    }
    member.client.answers = true;
    member.connect();
    publisher.connect();
    world.advance(Seconds(1));
    CHECK(member.payloads() == "xxx");  // the same three, sent again with DUP
    CHECK(member.received.empty());
    CHECK(world.leftovers() == 0);
  }
}

TEST_CASE("members without room do not pass a message round without end") {
  for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{3}}) {
    WorldOptions options;
    options.limits.session_queue_messages_max = 4;
    ConnectOptions narrow = persistent;
    narrow.receive_maximum = 1;
    Fleet fleet(cores, 3, narrow, options);
    for (const auto& device : fleet.devices) {
      device->client.answers = false;
    }
    constexpr int messages = 40;
    for (int i = 0; i < messages; ++i) {
      fleet.publisher.publish("t/x", "x", q1);
    }
    int steps = 0;
    while (steps < 5000 && fleet.world.step_random()) {
      ++steps;
    }
    CHECK(steps < 5000);
    const std::uint64_t before = fleet.world.steps();
    fleet.world.advance(Seconds(1));
    CHECK(fleet.world.steps() - before < 2000);  // one asks now and then, not all of them
    CHECK(fleet.all() == "xxx");
    for (const auto& device : fleet.devices) {
      device->client.answers = true;
      device->client.drop();
      device->connect(narrow);
    }
    fleet.world.advance(Seconds(10));
    CHECK(fleet.all() == std::string(messages + 3, 'x'));  // three were sent again, with DUP
    CHECK(fleet.world.dropped(DropReason::queue_full) == 0);
    CHECK(fleet.world.leftovers() == 0);
  }
}

TEST_CASE("the group ends with its last member, and its messages with it") {
  Fleet fleet(3, 2);
  for (const auto& device : fleet.devices) {
    device->client.drop();
  }
  fleet.world.run();
  fleet.publisher.publish("t/x", "x", q1);
  fleet.world.run();
  for (const auto& device : fleet.devices) {
    device->connect({.clean = true});
    fleet.world.run();
  }
  fleet.world.advance(Seconds(1));
  CHECK(fleet.world.leftovers() == 0);
  CHECK(fleet.world.records(storage::Family::sessions) == 1);  // the publisher's
}

TEST_CASE("a stored group whose members are gone is forgotten after a restart") {
  Fleet fleet(2, 1);
  fleet[0].client.drop();
  fleet.world.run();
  fleet.publisher.publish("t/x", "x", q1);
  fleet.world.run();
  fleet.world.store().fail_write(2, storage::StatusCode::full);
  fleet[0].connect({.clean = true});
  fleet.world.run();
  fleet.world.crash();
  fleet.world.advance(Seconds(4000));
  CHECK(fleet.world.records(storage::Family::sessions) == 0);
  CHECK(fleet.world.leftovers() == 0);
}

TEST_CASE("No Local on a shared subscription is a protocol error") {
  World world(1);
  Client& client = world.client("a");
  client.connect();
  client.heard();
  client.subscribe("$share/g/t", q1, {.no_local = true});
  CHECK(client.heard() == "DISCONNECT 0x82");
}

TEST_CASE("a message that met its group only on the way ends its QoS 2 exchange after a restart") {
  World world(1);
  Device publisher(world.client("p"));
  Device member(world.client("m"));
  publisher.connect();
  member.connect();
  world.run();
  world.commits_held = true;
  publisher.publish("t/x", "a", q2);  // its record is written without the group
  world.run();
  member.client.subscribe("$share/g/t/#", q2);
  member.client.answers = false;
  world.commits_held = false;
  world.run();
  REQUIRE(member.payloads() == "a");
  REQUIRE(member.received.size() == 1);
  world.restart();
  member.client.answers = true;
  member.connect();
  publisher.connect();
  world.advance(Seconds(1));
  CHECK(member.received.empty());
  publisher.publish("t/x", "b", q2);
  world.run();
  CHECK(member.payloads() == "ab");
  CHECK(world.leftovers() == 0);
}

TEST_CASE(
    "what was on its way at QoS 2 to a member without a session goes to nobody after a restart") {
  World world(1);
  Device publisher(world.client("p"));
  Device sleeper(world.client("sleeper"));
  Device passing(world.client("passing"));
  publisher.connect();
  sleeper.connect();
  passing.connect({});
  world.run();
  sleeper.client.subscribe("$share/g/t", q2);
  passing.client.subscribe("$share/g/t", q2);
  world.run();
  sleeper.client.drop();
  world.run();
  passing.client.answers = false;
  publisher.publish("t", "a", q2);
  world.run();
  REQUIRE(passing.payloads() == "a");
  world.restart();
  sleeper.connect();
  publisher.connect();
  world.advance(Seconds(1));
  CHECK(sleeper.payloads() == "");
  publisher.publish("t", "b", q2);
  world.run();
  CHECK(sleeper.payloads() == "b");
  CHECK(world.leftovers() == 0);
}
