// A client that stays with one topic is not judged and routed anew, until something changes that
// this was made of.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

/// Counts what it is asked; denies publishing while `closed`.
struct Judge final : plugin::Authorizer {
  plugin::Decision decide(const plugin::Identity&, plugin::Action action,
                          std::string_view) const override {
    if (action != plugin::Action::publish) {
      return {plugin::Verdict::allow_and_covers, "open"};
    }
    ++asked;
    return {closed ? plugin::Verdict::deny : plugin::Verdict::allow, "judge", lasting};
  }
  std::uint64_t epoch() const noexcept override { return now; }

  mutable int asked = 0;
  bool closed = false;
  bool lasting = true;
  std::uint64_t now = 1;
};

struct Scene {
  explicit Scene(std::uint16_t cores = 1)
      : world({.cores = cores, .authorizer = &judge}),
        publisher(world.client("p", 0)),
        subscriber(world.client("s", 1)) {
    publisher.connect();
    subscriber.connect();
    world.run();
    subscriber.heard();
  }

  /// What the subscriber hears of one message.
  std::string heard_of(std::string_view topic) {
    publisher.publish(topic, "x");
    world.run();
    return subscriber.heard();
  }

  void subscribe(std::string_view filter) {
    subscriber.subscribe(filter, q0);
    world.run();
    subscriber.heard();
  }

  Judge judge;
  World world;
  Client& publisher;
  Client& subscriber;
};

}  // namespace

TEST_CASE("a lasting decision is asked for once, and again when the epoch or the topic changes") {
  Scene scene;
  scene.subscribe("#");
  for (int i = 0; i < 3; ++i) {
    CHECK(scene.heard_of("a") == "PUBLISH a=x q0");
  }
  CHECK(scene.judge.asked == 1);
  scene.judge.closed = true;
  scene.judge.now = 2;
  CHECK(scene.heard_of("a").empty());
  CHECK(scene.heard_of("a").empty());
  CHECK(scene.judge.asked == 3);  // a denial is not kept
  scene.judge.closed = false;
  CHECK(scene.heard_of("a") == "PUBLISH a=x q0");
  CHECK(scene.heard_of("b") == "PUBLISH b=x q0");
  CHECK(scene.heard_of("a") == "PUBLISH a=x q0");
  CHECK(scene.judge.asked == 6);
}

TEST_CASE("a decision that does not last is asked for each time") {
  Scene scene;
  scene.judge.lasting = false;
  scene.subscribe("#");
  scene.heard_of("a");
  scene.judge.closed = true;
  CHECK(scene.heard_of("a").empty());
}

TEST_CASE("a client that is judged again, or comes with another identity, is asked for anew") {
  Scene scene;
  scene.heard_of("a");
  scene.world.turn(CoreIndex{0},
                   [&](shard::Shard& shard) { shard.reevaluate("user:p", {}, scene.world.now()); });
  scene.judge.closed = true;
  scene.subscribe("#");
  CHECK(scene.heard_of("a").empty());
}

TEST_CASE("what is subscribed and unsubscribed between two messages counts, on every core") {
  for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{2}}) {
    CAPTURE(cores);
    Scene scene(cores);
    CHECK(scene.heard_of("a/b").empty());
    scene.subscribe("a/b");
    CHECK(scene.heard_of("a/b") == "PUBLISH a/b=x q0");
    scene.subscribe("a/+");
    CHECK(scene.heard_of("a/b") == "PUBLISH a/b=x q0");
    scene.subscriber.unsubscribe("a/b");
    scene.world.run();
    scene.subscriber.heard();
    CHECK(scene.heard_of("a/b") == "PUBLISH a/b=x q0");
    scene.subscriber.unsubscribe("a/+");
    scene.world.run();
    scene.subscriber.heard();
    CHECK(scene.heard_of("a/b").empty());
    scene.subscribe("#");
    scene.subscriber.disconnect();
    scene.world.run();
    scene.publisher.publish("a/b", "x");
    scene.world.run();
  }
}

TEST_CASE("a topic that many filters match is matched each time") {
  Scene scene;
  std::string topic = "l";
  scene.subscribe("#");
  for (int i = 0; i < 20; ++i) {
    scene.subscribe(topic + "/#");
    topic += "/l";
  }
  for (int i = 0; i < 3; ++i) {
    CHECK(scene.heard_of(topic) == "PUBLISH " + topic + "=x q0");
  }
  scene.subscriber.unsubscribe("#");
  scene.world.run();
  scene.subscriber.heard();
  CHECK(scene.heard_of(topic) == "PUBLISH " + topic + "=x q0");
}

TEST_CASE("packet ids go round and those that are still open are left out") {
  Scene scene;
  scene.subscriber.subscribe("a", q1);
  scene.world.run();
  scene.subscriber.heard();
  scene.publisher.publish("a", "first", {.qos = q1});
  scene.world.run();
  REQUIRE(scene.subscriber.heard() == "PUBLISH a=first q1 #1");
  for (int i = 2; i <= 65'536 + 1; ++i) {
    scene.publisher.publish("a", "x", {.qos = q1, .packet_id = 7});
    scene.world.run();
    scene.publisher.heard();
    scene.subscriber.collect();
    const auto id = static_cast<std::uint16_t>(i <= 65'535 ? i : i - 65'535 + 1);
    const auto heard = scene.subscriber.take();
    REQUIRE(heard.size() == 1);
    REQUIRE(heard[0].as<mqtt::Publish>()->packet_id.value == id);
    scene.subscriber.puback(id);
  }
  scene.subscriber.puback(1);
  scene.publisher.publish("a", "x", {.qos = q1, .packet_id = 7});
  scene.world.run();
  scene.subscriber.collect();
  CHECK(scene.subscriber.take().at(0).as<mqtt::Publish>()->packet_id.value == 4);
}
