// The last half of an outbound QoS 2 exchange while storage fails: once its client has the message,
// the packet id must come to an end, or the client would take a later message of that id for one
// that it has already.
#include <doctest/doctest.h>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using storage::Family;

namespace {

/// One message at QoS 2 has reached the subscriber, who has answered nothing yet.
struct Delivered {
  Delivered() : publisher(world.client("p")), subscriber(world.client("s")) {
    publisher.answers = true;
    publisher.connect();
    subscriber.connect();
    world.run();
    subscriber.client.subscribe("t", q2);
    world.run();
    subscriber.client.answers = false;
    publish("a");
  }
  void publish(std::string_view payload) {
    const std::uint16_t id = publisher.publish("t", payload, {.qos = q2});
    world.run();
    publisher.pubrel(id);
    world.run();
  }
  void erase_messages() {
    storage::Batch batch;
    batch.erase_range(Family::messages, std::string(8, '\0'), std::string(8, '\xff'));
    REQUIRE(world.store().write(batch, true).ok());
  }
  void come_back() {
    world.advance(Seconds(1));  // so that what waits has left memory
    subscriber.client.heard();
    subscriber.client.answers = true;
    subscriber.connect();
    world.advance(Seconds(1));
  }

  World world{1};
  Client& publisher;
  Device subscriber;
};

}  // namespace

TEST_CASE("a PUBREC that could not be stored is made good on the next connection") {
  enum class Batch { lost, lost_and_crash, on_disk };
  for (const Batch failed : {Batch::lost, Batch::lost_and_crash, Batch::on_disk}) {
    CAPTURE(static_cast<int>(failed));
    Delivered one;
    REQUIRE(one.subscriber.received == std::set<std::uint16_t>{1});
    one.world.store().fail_write(1, storage::StatusCode::io_error);
    one.subscriber.client.pubrec(1);
    one.world.run();
    CHECK_FALSE(one.subscriber.client.attached());
    one.world.store().heal();
    if (failed == Batch::on_disk) {  // as after a sync that failed
      one.erase_messages();
    } else if (failed == Batch::lost_and_crash) {
      one.world.crash();
      one.publisher.connect();
    }
    one.come_back();
    CHECK(one.subscriber.received.empty());
    one.publish("b");
    CHECK(one.subscriber.payloads() == "ab");
    CHECK(one.world.dropped(DropReason::unreadable) == 0);
    CHECK(one.world.leftovers() == 0);
  }
}

TEST_CASE("a message that its client may have seen and that is damaged ends with a PUBREL") {
  Delivered one;
  one.subscriber.client.drop();
  one.world.advance(Seconds(1));
  one.erase_messages();
  one.come_back();
  CHECK(one.world.dropped(DropReason::unreadable) == 1);
  CHECK(one.subscriber.received.empty());
  one.publish("b");
  CHECK(one.subscriber.payloads() == "ab");
  CHECK(one.world.leftovers() == 0);
}

TEST_CASE(
    "a retained message that could not be stored for a session is stored with its packet id") {
  World world(1);
  Device publisher(world.client("p"));
  Device subscriber(world.client("s"));
  publisher.connect();
  subscriber.connect();
  world.run();
  publisher.publish("t", "a", q2, true);
  world.run();
  subscriber.client.answers = false;
  world.store().fail_write(2, storage::StatusCode::full);  // behind the subscription itself
  subscriber.client.subscribe("t", q2);
  world.run();
  REQUIRE_FALSE(subscriber.client.attached());
  world.store().heal();
  world.advance(Seconds(1));
  subscriber.connect();
  world.run();
  REQUIRE(subscriber.received == std::set<std::uint16_t>{1});
  world.restart();
  subscriber.client.answers = true;
  subscriber.connect();
  world.advance(Seconds(1));
  CHECK(subscriber.received.empty());
  CHECK(subscriber.payloads() == "a");
  CHECK(world.leftovers() == 0);
}
