// What a shard refuses and gives up when memory is short, and what it never does.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Version;

namespace {

constexpr std::size_t limit = 1000 * 1024 * 1024;

struct Short {
  explicit Short(Limits limits = {}) : world({.limits = limits, .memory = &budget}) {}
  void press() { budget.set_used(limit / 10 * 9); }
  void fill() { budget.set_used(limit); }
  void relieve() { budget.set_used(0); }
  std::uint64_t refused(MemoryRefusal what) {
    return world.counters().memory_refused[static_cast<int>(what)].read();
  }

  MemoryBudget budget{limit};
  World world;
};

}  // namespace

TEST_CASE("under pressure no connection comes in, but one may replace its own") {
  Short memory;
  Client& old = memory.world.client("old");
  REQUIRE(old.connect(persistent));
  memory.world.run();
  memory.press();
  Client& five = memory.world.client("five");
  CHECK_FALSE(five.connect());
  CHECK(five.heard().find("server busy") == std::string::npos);  // shown by its number
  Client& three = memory.world.client("three", 0, Version::v3_1_1);
  CHECK_FALSE(three.connect());
  CHECK(memory.refused(MemoryRefusal::connection) == 2);
  CHECK(old.connect(persistent));
  memory.relieve();
  CHECK(five.connect());
}

TEST_CASE(
    "when memory is full a client that asks and never reads is not read any more much sooner") {
  Short memory;
  Client& client = memory.world.client("a");
  client.connect();
  client.collect();
  client.stuck = true;
  memory.fill();
  for (int pings = 0; !client.link().paused && pings < 100'000; ++pings) {
    client.send_bytes(std::string("\xc0\x00", 2));
  }
  CHECK(client.link().paused);
  CHECK(client.link().bytes.size() <= 2 * output_bytes_least + 2);
  client.link().bytes.clear();
  memory.world.turn(client.core, [&](skerry::shard::Shard& shard) {
    shard.on_output_drained(client.session(), memory.world.now());
  });
  CHECK_FALSE(client.link().paused);
}

TEST_CASE(
    "a connection that has its share of its listener's output loses QoS 0 and keeps the rest") {
  World world(std::uint16_t{1});
  Client& publisher = world.client("p");
  Client& client = world.client("a");
  publisher.connect();
  client.connect();
  client.subscribe("#", q1);
  world.run();
  client.heard();
  client.stuck = true;
  client.link().bytes.append(output_bytes_least + 1, '\0');  // as if the socket took nothing
  client.link().share = output_bytes_least;
  publisher.publish("t", "0");
  publisher.publish("t", "1", {.qos = q1});
  world.run();
  CHECK(world.dropped(DropReason::listener_full) == 1);
  client.link().bytes.clear();
  client.stuck = false;
  world.turn(client.core, [&](skerry::shard::Shard& shard) {
    shard.on_output_drained(client.session(), world.now());
  });
  CHECK(client.heard() == "PUBLISH t=1 q1 #1");
}

TEST_CASE(
    "under pressure no filter is added and no retained topic grows; what is there may go on") {
  Short memory;
  Client& client = memory.world.client("c");
  client.connect();
  client.subscribe("a", q1);
  client.publish("r", "four", {.qos = q1, .retain = true});
  memory.world.run();
  client.heard();
  memory.press();
  client.subscribe("b", q1);
  client.subscribe("a", q2);
  memory.world.run();
  const auto answers = client.take();
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].as<mqtt::Suback>()->reasons[0] == mqtt::Reason::quota_exceeded);
  CHECK(answers[1].as<mqtt::Suback>()->reasons[0] == mqtt::Reason::granted_qos_2);
  CHECK(memory.refused(MemoryRefusal::subscription) == 1);
  client.publish("new", "x", {.qos = q1, .retain = true});
  client.publish("r", "longer", {.qos = q1, .retain = true});
  client.publish("r", "same", {.qos = q1, .retain = true});
  client.publish("r", "", {.qos = q1, .retain = true});
  memory.world.run();
  std::vector<mqtt::Reason> reasons;
  for (const Received& each : client.take()) {
    if (const auto* puback = each.as<mqtt::Puback>()) {
      reasons.push_back(puback->reason);
    }
  }
  CHECK(reasons == std::vector{mqtt::Reason::quota_exceeded, mqtt::Reason::quota_exceeded,
                               mqtt::Reason::success, mqtt::Reason::success});
  CHECK(memory.refused(MemoryRefusal::retained) == 2);
  CHECK(memory.world.dropped(DropReason::memory) == 2);
}

TEST_CASE(
    "when memory is full QoS 1 and 2 are refused, QoS 0 flows, nothing acknowledged is lost") {
  Short memory;
  Client& subscriber = memory.world.client("s");
  subscriber.answers = true;
  subscriber.connect(persistent);
  Client& publisher = memory.world.client("p");
  publisher.connect();
  Client& old = memory.world.client("o", 0, Version::v3_1_1);
  old.connect();
  memory.world.run();
  subscriber.subscribe("t", q1);
  memory.world.run();
  subscriber.drop();
  publisher.publish("t", "kept", {.qos = q1});
  memory.world.run();
  subscriber.connect(persistent);
  memory.world.run();
  subscriber.heard();
  publisher.heard();
  memory.fill();
  publisher.publish("t", "refused", {.qos = q1});
  old.publish("t", "refused", {.qos = q1});
  publisher.publish("t", "zero");
  memory.world.run();
  const auto answer = publisher.take();
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].as<mqtt::Puback>()->reason == mqtt::Reason::quota_exceeded);
  CHECK_FALSE(old.attached());
  CHECK(memory.refused(MemoryRefusal::publish) == 2);
  CHECK(subscriber.heard() == "PUBLISH t=zero q0");
  CHECK(memory.world.leftovers() == 0);
}

TEST_CASE("the largest output is cut first: QoS 0 to it is dropped and counted, others hear all") {
  Short memory;
  Client& slow = memory.world.client("slow");
  slow.stuck = true;
  slow.connect();
  Client& quick = memory.world.client("quick");
  quick.connect();
  Client& publisher = memory.world.client("p");
  publisher.connect();
  memory.world.run();
  slow.stuck = false;
  slow.subscribe("t", q0);
  quick.subscribe("t", q0);
  memory.world.run();
  slow.heard();
  quick.heard();
  slow.stuck = true;
  memory.fill();
  const std::string payload(1000, 'x');
  std::size_t heard = 0;
  for (int i = 0; i < 100; ++i) {
    publisher.publish("t", payload);
    memory.world.run();
    heard += quick.take().size();
  }
  CHECK(heard == 100);
  const std::uint64_t dropped = memory.world.dropped(DropReason::memory);
  CHECK(slow.link().bytes.size() < output_bytes_least + 2000);
  slow.stuck = false;
  slow.collect();
  CHECK(slow.take().size() + dropped == 100);
}

TEST_CASE("a queue in memory alone is cut under pressure, one on disk is not") {
  for (const bool durable : {false, true}) {
    CAPTURE(durable);
    Short memory;
    Client& slow = memory.world.client("slow");
    ConnectOptions how = durable ? persistent : ConnectOptions{};
    how.receive_maximum = 1;
    slow.connect(how);
    Client& publisher = memory.world.client("p");
    publisher.answers = true;
    publisher.connect();
    memory.world.run();
    slow.subscribe("t", q1);
    memory.world.run();
    slow.take();
    memory.budget.set_used(limit / 1000 * 949);
    const std::string payload(1000, 'x');
    for (int i = 0; i < 200; ++i) {
      publisher.publish("t", payload, {.qos = q1});
      memory.world.run();
    }
    const QueueUsage& queues = memory.world.counters().queues;
    const std::uint64_t dropped = memory.world.dropped(DropReason::memory);
    CHECK(queues.messages.read() + dropped == 199);
    CHECK((dropped == 0) == durable);
    if (!durable) {
      CHECK(queues.resident_bytes.read() <= memory.budget.allowance(64 << 20, queue_bytes_least));
    }
  }
}

TEST_CASE("under pressure a queue in memory holds what an output may, small messages or large") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{4000}}) {
    CAPTURE(size);
    Limits limits;
    limits.session_queue_bytes_max = std::size_t{4} << 30;
    Short memory(limits);
    Client& slow = memory.world.client("slow");
    slow.connect({.receive_maximum = 1});
    Client& publisher = memory.world.client("p");
    publisher.answers = true;
    publisher.connect();
    memory.world.run();
    slow.subscribe("t", q1);
    memory.world.run();
    slow.take();
    const auto flood = [&](std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) {
        publisher.publish("t", std::string(size, 'x'), {.qos = q1});
        memory.world.run();
      }
    };
    flood(1000);
    CHECK(memory.world.dropped(DropReason::memory) == 0);
    memory.budget.set_used(limit / 100 * 92);
    flood(100);
    const QueueUsage& queues = memory.world.counters().queues;
    CHECK(queues.resident_bytes.read() + queues.messages.read() * sizeof(session::Delivery) <=
          memory.budget.allowance(limits.output_bytes_max, queue_bytes_least));
    CHECK(queues.messages.read() + memory.world.dropped(DropReason::memory) == 1099);
  }
}

TEST_CASE("filters of all sessions and wills of all clients have a cap") {
  Limits limits;
  limits.subscriptions_max = 3;
  limits.will_bytes_max = 100;
  Short memory(limits);
  Client& first = memory.world.client("first");
  first.connect({.will = will_of("w", std::string(40, 'x'))});
  memory.world.run();
  first.take();
  for (const char* filter : {"a", "b", "c", "d", "e"}) {
    first.subscribe(filter, q0);
  }
  memory.world.run();
  std::size_t granted = 0;
  for (const Received& each : first.take()) {
    granted += each.as<mqtt::Suback>()->reasons[0] == mqtt::Reason::success ? 1 : 0;
  }
  CHECK(granted == 4);  // one more for each core, since the cores do not ask each other
  first.unsubscribe("a");
  first.subscribe("e", q0);
  memory.world.run();
  CHECK(first.take().back().as<mqtt::Suback>()->reasons[0] == mqtt::Reason::success);
  Client& second = memory.world.client("second");
  CHECK_FALSE(second.connect({.will = will_of("w", std::string(90, 'x'))}));
  CHECK(second.connect());
  first.disconnect();
  memory.world.run();
  CHECK(memory.world.counters().will_bytes.read() == 0);
  CHECK(second.connect({.will = will_of("w", std::string(90, 'x'))}));
}

TEST_CASE("a slow client is told 0x97 and its persistent session stays") {
  Short memory;
  Client& slow = memory.world.client("slow");
  slow.connect(persistent);
  memory.world.run();
  memory.world.turn(CoreIndex{0}, [&](shard::Shard& shard) {
    shard.end_slow(slow.session(), memory.world.now());
  });
  CHECK(slow.link().closed);
  CHECK(slow.link().cause == session::CloseCause::slow_consumer);
  CHECK(memory.world.counters().slow_consumers.read() == 1);
  CHECK(memory.world.counters().sessions.read() == 1);
}
