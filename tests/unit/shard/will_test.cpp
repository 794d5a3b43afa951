// Wills: when they are published, when not, and by whom they may be left.
#include <doctest/doctest.h>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Reason;

namespace {

constexpr std::uint16_t core_counts[] = {1, 3};

struct Mourning {
  explicit Mourning(std::uint16_t cores, WorldOptions options = {})
      : world((options.cores = cores, options)),
        watcher(world.client("w", 0)),
        mortal(world.client("m", 1)) {
    watcher.connect();
    watcher.subscribe("will", q0);
    world.run();
    watcher.heard();
  }
  void connect(std::uint32_t delay, std::uint32_t expiry, bool clean = true) {
    mortal.connect({.clean = clean, .expiry = expiry, .will = will_of("will", "dead", delay)});
    world.run();
    mortal.heard();
  }
  bool published() {
    world.run();
    return watcher.heard() == "PUBLISH will=dead q0";
  }

  World world;
  Client& watcher;
  Client& mortal;
};

/// Denies what begins with "no/" and covers nothing.
struct Denier final : plugin::Authorizer {
  plugin::Decision decide(const plugin::Identity&, plugin::Action action,
                          std::string_view topic) const override {
    const bool denied = topic.substr(0, 3) == "no/" ||
                        (action == plugin::Action::receive && topic.substr(0, 5) == "deaf/");
    return {denied ? plugin::Verdict::deny : plugin::Verdict::allow, "test"};
  }
  std::uint64_t epoch() const noexcept override { return 0; }
};

}  // namespace

TEST_CASE("a will without delay is published when the connection is lost") {
  for (const std::uint16_t cores : core_counts) {
    for (const std::uint32_t expiry : {0u, 100u}) {
      Mourning scene(cores);
      scene.connect(0, expiry);
      scene.mortal.drop();
      CHECK(scene.published());
      CHECK(scene.world.counters(scene.mortal.core.value).wills_published.read() == 1);
    }
  }
}

TEST_CASE("normal disconnection drops the will, 0x04 and keep alive publish it") {
  Mourning scene(1);
  SUBCASE("normal") {
    scene.connect(0, 0);
    scene.mortal.disconnect();
    CHECK_FALSE(scene.published());
  }
  SUBCASE("with will") {
    scene.connect(0, 0);
    scene.mortal.disconnect(Reason::disconnect_with_will_message);
    CHECK(scene.published());
    CHECK(scene.mortal.link().cause == session::CloseCause::disconnect_with_will);
  }
  SUBCASE("keep alive") {
    scene.mortal.connect({.keep_alive = 1, .will = will_of("will", "dead")});
    scene.world.advance(Seconds(2));
    CHECK(scene.published());
  }
  SUBCASE("protocol error") {
    scene.connect(0, 0);
    scene.mortal.send(mqtt::Connect{.client_id = "x"});
    CHECK(scene.published());
  }
}

TEST_CASE("a delayed will waits, is dropped by a return and published at the session's end") {
  Mourning scene(2);
  SUBCASE("after its delay") {
    scene.connect(5, 100);
    scene.mortal.drop();
    scene.world.advance(Seconds(4));
    CHECK_FALSE(scene.published());
    scene.world.advance(Seconds(2));
    CHECK(scene.published());
  }
  SUBCASE("dropped by a return") {
    scene.connect(5, 100);
    scene.mortal.drop();
    scene.world.advance(Seconds(4));
    scene.mortal.connect({.clean = false, .expiry = 100});
    scene.world.advance(Seconds(10));
    scene.mortal.drop();
    scene.world.advance(Seconds(10));
    CHECK_FALSE(scene.published());
  }
  SUBCASE("at the end of the session") {
    scene.connect(50, 5);
    scene.mortal.drop();
    scene.world.advance(Seconds(6));
    CHECK(scene.published());
  }
  SUBCASE("by clean start, which ends the session") {
    scene.connect(50, 100);
    scene.mortal.drop();
    scene.mortal.connect();
    CHECK(scene.published());
  }
  SUBCASE("not on take-over without clean start") {
    scene.connect(50, 100);
    scene.connect(50, 100, false);
    CHECK_FALSE(scene.published());
  }
  SUBCASE("but without a delay it is") {
    scene.connect(0, 100);
    scene.connect(0, 100, false);
    CHECK(scene.published());
  }
}

TEST_CASE("a will survives a restart, and is published once") {
  for (const std::uint16_t cores : core_counts) {
    for (const bool was_lost : {false, true}) {
      Mourning scene(cores);
      scene.connect(5, 100);
      if (was_lost) {
        scene.mortal.drop();
        scene.world.run();
      }
      scene.world.crash();
      scene.watcher.connect();
      scene.watcher.subscribe("will", q0);
      scene.world.run();
      scene.watcher.heard();
      scene.world.advance(Seconds(4));
      CHECK_FALSE(scene.published());
      scene.world.advance(Seconds(2));
      CHECK(scene.published());
      scene.world.crash();
      scene.watcher.connect();
      scene.watcher.subscribe("will", q0);
      scene.world.run();
      scene.watcher.heard();
      scene.world.advance(Seconds(20));
      CHECK_FALSE(scene.published());
    }
  }
}

TEST_CASE("a will at QoS 2 reaches a persistent session on another core, also after a restart") {
  World world(3);
  Device watcher(world.client("w", 0));
  watcher.connect();
  world.run();
  watcher.client.subscribe("will", q2);
  Client& mortal = world.client("m", 1);
  mqtt::Will will = will_of("will", "x");
  will.qos = q2;
  mortal.connect({.clean = true, .expiry = 100, .will = will});
  world.run();
  world.crash();
  world.advance(Seconds(3));
  watcher.connect();
  world.advance(Seconds(1));
  CHECK(watcher.payloads() == "x");
  CHECK(world.leftovers() == 0);
}

TEST_CASE("an administrative end and an expired certificate suppress the will") {
  Mourning scene(1);
  SUBCASE("disconnect_owner") {
    scene.connect(0, 100);
    scene.world.turn(CoreIndex{0}, [&](skerry::shard::Shard& shard) {
      shard.disconnect_owner("user:m", Reason::not_authorized, 10, scene.world.now());
    });
  }
  SUBCASE("expire") {
    scene.connect(0, 0);
    scene.world.turn(CoreIndex{0}, [&](skerry::shard::Shard& shard) {
      shard.expire(scene.mortal.session(), scene.world.now());
    });
    CHECK(scene.mortal.heard() == "DISCONNECT 0x87");
  }
  scene.world.advance(Seconds(200));
  CHECK_FALSE(scene.published());
}

TEST_CASE("a will that its client may not publish is refused at CONNECT") {
  Denier denier;
  Mourning scene(1, {.authorizer = &denier});
  CHECK_FALSE(scene.mortal.connect({.will = will_of("no/will", "x")}));
  CHECK(scene.mortal.heard() == "CONNACK 0x87");
  CHECK(scene.mortal.link().closed);
}

TEST_CASE("denied publishes are refused, denied filters too, and rights count at delivery") {
  Denier denier;
  World world({.cores = 2, .authorizer = &denier});
  Client& five = world.client("a", 0);
  Client& three = world.client("b", 1, mqtt::Version::v3_1_1);
  for (Client* client : {&five, &three}) {
    client->connect();
    client->subscribe("no/x", q1);
    client->subscribe("#", q1);
    client->subscribe("$share/g/#", q1);
    world.run();
  }
  CHECK(five.heard() == "CONNACK 0x00; SUBACK #1 0x87; SUBACK #2 0x01; SUBACK #3 0x01");
  CHECK(three.heard() == "CONNACK 0x00; SUBACK #1 0x80; SUBACK #2 0x01; SUBACK #3 0x01");
  five.publish("no/x", "x", {.qos = q1});
  five.publish("no/x", "x", {.qos = q2});
  five.publish("no/x", "x", {.qos = q2});
  three.publish("no/x", "x", {.qos = q1});
  three.publish("deaf/x", "x", {.qos = q1});
  world.run();
  CHECK(five.heard() == "PUBACK #4 0x87; PUBREC #5 0x87; PUBREC #6 0x87");
  CHECK(three.heard() == "PUBACK #4; PUBACK #5");
}
