// Message expiry of what has its place in the window already, and what a message that is given up
// there makes room for.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

/// A publisher and a persistent subscriber at QoS 2, whose packet ids are stored before they are
/// used.
struct Scene {
  explicit Scene(const ConnectOptions& options)
      : world(1), publisher(world.client("p")), subscriber(world.client("s")) {
    publisher.connect();
    subscriber.connect(options);
    world.run();
    subscriber.subscribe("t", q2);
    world.run();
    publisher.heard();
    subscriber.heard();
  }
  /// Two messages, until they are stored: their packet ids are on their way to storage.
  void publish(const std::string& first, const std::string& second) {
    publisher.publish("t", first, {.qos = q2, .expiry = 5});
    publisher.publish("t", second, {.qos = q2, .expiry = 100});
    for (int i = 0; i < 2; ++i) {
      world.step_commit();
      world.step_completion();
    }
    CHECK(subscriber.heard() == "");
  }

  World world;
  Client& publisher;
  Client& subscriber;
};

}  // namespace

TEST_CASE("a message that expires while its packet id is being stored is not sent") {
  Scene scene(persistent);
  scene.publish("short", "long");
  SUBCASE("on the same connection") {
    scene.world.skip(Seconds(10));
    scene.world.run();
    CHECK(scene.subscriber.heard() == "PUBLISH t=long q2 #2 expiry=90");
  }
  SUBCASE("on the next one") {
    scene.subscriber.drop();
    scene.world.run();
    scene.world.advance(Seconds(10));
    scene.subscriber.heard();
    scene.subscriber.connect(persistent);
    scene.world.run();
    CHECK(scene.subscriber.heard() == "CONNACK 0x00 present; PUBLISH t=long q2 #2 expiry=90");
  }
  CHECK(scene.world.dropped(DropReason::expired) == 1);
  scene.subscriber.pubrec(2);
  scene.world.run();
  scene.subscriber.pubcomp(2);
  scene.world.run();
  CHECK(scene.world.leftovers() == 0);
}

TEST_CASE("what waits behind a message that is given up takes its place in the window") {
  Scene scene({.clean = false, .expiry = 3600, .receive_maximum = 1, .maximum_packet_size = 40});
  scene.publish(std::string(50, 'x'), "b");
  scene.world.run();
  CHECK(scene.world.dropped(DropReason::too_large) == 1);
  CHECK(scene.subscriber.heard() == "PUBLISH t=b q2 #2 expiry=100");
}
