// What is refused while disk space is low, what goes on, and how long queues end in slices.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Qos;
using mqtt::Version;
using storage::Family;

namespace {

constexpr std::uint16_t core_counts[] = {1, 3};

struct Low {
  explicit Low(std::uint16_t cores, Version version = Version::v5)
      : world(cores), publisher(world.client("p", 0, version)), subscriber(world.client("s", 1)) {
    publisher.connect({.clean = true, .expiry = 0});
    subscriber.connect(persistent);
    world.run();
    subscriber.subscribe("t/#", q2);
    world.run();
    publisher.heard();
    subscriber.heard();
    world.space_low = true;
  }
  std::uint64_t refused() const {
    std::uint64_t sum = 0;
    for (std::uint16_t core = 0; core < world.core_count(); ++core) {
      sum += const_cast<World&>(world).counters(core).durable_refused.read();
    }
    return sum;
  }

  World world;
  Client& publisher;
  Client& subscriber;
};

}  // namespace

TEST_CASE("while space is low a message for a persistent session is refused, QoS 0 goes on") {
  for (const std::uint16_t cores : core_counts) {
    Low low(cores);
    low.publisher.publish("t", "a", {.qos = q1});
    low.publisher.publish("t", "b", {.qos = q2});
    low.publisher.publish("t", "c");
    low.world.run();
    CHECK(low.publisher.heard() == "PUBACK #1 0x97; PUBREC #2 0x97");
    CHECK(low.subscriber.heard() == "PUBLISH t=c q0");
    CHECK(low.world.records(Family::messages) == 0);
    CHECK(low.refused() == 2);
    low.publisher.publish("nobody", "d", {.qos = q1});
    low.world.run();
    CHECK(low.publisher.heard() == "PUBACK #3");
    low.world.space_low = false;
    low.publisher.publish("t", "e", {.qos = q1});
    low.world.run();
    CHECK(low.publisher.heard() == "PUBACK #4");
    CHECK(low.subscriber.heard() == "PUBLISH t=e q1 #1");
  }
}

TEST_CASE("in 3.1.1 the refusal is a closed connection without an acknowledgement") {
  Low low(1, Version::v3_1_1);
  low.publisher.publish("t", "a", {.qos = q1});
  low.world.run();
  CHECK(low.publisher.heard() == "");
  CHECK_FALSE(low.publisher.attached());
  CHECK(low.world.records(Family::messages) == 0);
}

TEST_CASE("while space is low retained messages can be removed and not set") {
  for (const std::uint16_t cores : core_counts) {
    World world(cores);
    Client& client = world.client("c");
    client.connect();
    world.run();
    client.publish("r", "old", {.qos = q1, .retain = true});
    world.run();
    client.heard();
    world.space_low = true;
    client.publish("r", "new", {.qos = q1, .retain = true});
    client.publish("r", "new", {.retain = true});
    world.run();
    CHECK(client.heard() == "PUBACK #2 0x97");
    Client& reader = world.client("reader", 1);
    reader.connect();
    world.run();
    reader.subscribe("r", Qos::at_most_once);
    world.run();
    CHECK(reader.heard().find("PUBLISH r=old q0 retain") != std::string::npos);
    client.publish("r", "", {.qos = q1, .retain = true});
    world.run();
    CHECK(world.records(Family::retained) == 0);
  }
}

TEST_CASE("while space is low a session is resumed and drained, and none is added") {
  World world(1);
  Client& publisher = world.client("p");
  Client& away = world.client("away");
  Client& late = world.client("late");
  publisher.connect();
  away.connect(persistent);
  world.run();
  away.subscribe("t", q1);
  world.run();
  away.drop();
  publisher.publish("t", "a", {.qos = q1});
  world.run();
  CHECK(world.records(Family::messages) == 1);
  away.heard();
  world.space_low = true;
  late.connect(persistent);
  CHECK_FALSE(late.attached());
  CHECK(late.heard().find("0x97") != std::string::npos);
  late.connect();  // without a session that outlives it
  CHECK(late.attached());
  away.connect(persistent);
  world.run();
  CHECK(away.heard().find("PUBLISH t=a q1 #1") != std::string::npos);
  away.subscribe("t", q1);  // what it has already
  away.subscribe("new", q1);
  away.puback(1);
  world.run();
  const std::string heard = away.heard();
  CHECK(heard.find("0x01") != std::string::npos);
  CHECK(heard.find("0x97") != std::string::npos);
  CHECK(heard.find("0x97") > heard.find("0x01"));
  CHECK(world.records(Family::messages) == 0);
  CHECK(world.records(Family::subscriptions) == 1);
}

TEST_CASE("a message for many sessions is stored once") {
  for (const std::uint16_t cores : core_counts) {
    World world(cores);
    std::vector<Client*> members;
    for (int i = 0; i < 100; ++i) {
      Client& client = world.client("c" + std::to_string(i), static_cast<std::uint16_t>(i));
      client.connect(persistent);
      world.run();
      client.subscribe("t", q1);
      members.push_back(&client);
    }
    Client& publisher = world.client("p");
    publisher.connect();
    world.run();
    publisher.publish("t", "a", {.qos = q1});
    world.run();
    CHECK(world.records(Family::messages) == 1);
    for (std::size_t i = 0; i + 1 < members.size(); ++i) {
      members[i]->puback(1);
    }
    world.run();
    CHECK(world.records(Family::messages) == 1);
    members.back()->puback(1);
    world.run();
    CHECK(world.records(Family::messages) == 0);
    CHECK(world.leftovers() == 0);
  }
}

namespace {

/// What one turn may hand to storage, with room for what else a turn does.
constexpr std::size_t operations_max = 1100;

/// A session that waits with `many` messages.
struct Long {
  explicit Long(std::size_t count, std::uint32_t message_expiry = 0)
      : many(count), world(WorldOptions{.limits = limits()}) {
    away.connect({.clean = false, .expiry = 60});
    other.connect(persistent);
    publisher.connect();
    world.run();
    away.subscribe("t", q1);
    other.subscribe("o", q1);
    world.run();
    away.drop();
    world.run();
    std::optional<std::uint32_t> expiry;
    if (message_expiry != 0) {
      expiry = message_expiry;
    }
    for (std::size_t i = 0; i < many; ++i) {
      publisher.publish("t", "x", {.qos = q1, .packet_id = id(), .expiry = expiry});
      if (i % 1000 == 999) {
        world.run();
        publisher.take();
      }
    }
    world.run();
    publisher.take();
    REQUIRE(world.records(Family::messages) == many);
    other.heard();
  }
  static Limits limits() {
    Limits limits;
    limits.session_queue_messages_max = 1'000'000;
    return limits;
  }
  std::uint16_t id() { return static_cast<std::uint16_t>(++sent % 60'000 + 1); }
  /// Steps until nothing waits any more, with a message for the other session in each turn.
  void run_and_serve() {
    world.largest_batch = 0;
    std::size_t served = 0;
    std::size_t turns = 0;
    while (world.records(Family::messages) > 0 && turns < 10'000) {
      ++turns;
      publisher.publish("o", "y", {.qos = q1, .packet_id = id()});
      world.step_timer();
      while (world.step_commit()) {
      }
      while (world.step_completion()) {
      }
      for (const Received& received : (other.collect(), other.take())) {
        if (const auto* publish = received.as<mqtt::Publish>()) {
          ++served;
          other.puback(publish->packet_id.value);
        }
      }
    }
    CHECK(turns > many / operations_max);
    CHECK(served + 1 >= turns);
    CHECK(world.largest_batch <= operations_max);
  }

  const std::size_t many;
  std::size_t sent = 0;
  World world;
  Client& away = world.client("away");
  Client& other = world.client("other");
  Client& publisher = world.client("p");
};

}  // namespace

TEST_CASE("a session that expires with 100,000 messages ends in slices, others are served") {
  Long test(100'000);
  test.world.skip(Seconds(61));
  test.run_and_serve();
  CHECK(test.world.records(Family::acks) == 0);
  CHECK(test.world.records(Family::sessions) == 1);  // that of the other
}

TEST_CASE("20,000 expired messages of a client that is away go in slices") {
  Long test(20'000, 5);
  test.world.skip(Seconds(10));
  test.run_and_serve();
  CHECK(test.world.dropped(DropReason::expired) == test.many);
}

TEST_CASE("a client that comes back to 20,000 expired messages gets what is new at once") {
  Long test(20'000, 5);
  test.world.skip(Seconds(10));
  test.away.connect({.clean = false, .expiry = 60});
  test.run_and_serve();
  test.away.heard();
  test.publisher.publish("t", "fresh", {.qos = q1, .packet_id = test.id()});
  test.world.run();
  CHECK(test.away.heard() == "PUBLISH t=fresh q1 #1");
}
