// Long queues are on disk alone and come back in order, whatever happens meanwhile.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

using storage::Family;

constexpr std::size_t many = 1000;

/// A publisher on core 0 and a persistent subscriber on core 0 or 1 that has gone.
struct Away {
  explicit Away(std::uint16_t cores, mqtt::Qos qos = q1, WorldOptions options = {})
      : world((options.cores = cores, options)),
        publisher(world.client("p", 0)),
        subscriber(world.client("s", cores == 1 ? 0 : 1)) {
    publisher.connect(persistent);
    publisher.answers = subscriber.answers = true;
    subscriber.on_packet = [this](const mqtt::Packet& packet) {
      if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
        got.emplace_back(as_text(publish->payload));
      }
    };
    subscriber.connect(persistent);
    world.run();
    subscriber.subscribe("t/#", qos);
    world.run();
    subscriber.drop();
  }

  void publish(std::size_t from, std::size_t to, mqtt::Qos qos = q1) {
    for (std::size_t i = from; i < to; ++i) {
      publisher.publish("t/a", std::to_string(i), {.qos = qos});
      if (i % 50 == 0) {
        world.run();
      }
    }
    world.run();
    publisher.take();
  }

  /// Nothing of the queues is in memory any more.
  void page() {
    world.advance(Milliseconds(200));
    subscriber.take();
  }

  std::uint64_t sum(Counter QueueUsage::*what) {
    std::uint64_t all = 0;
    for (std::uint16_t core = 0; core < world.core_count(); ++core) {
      all += (world.counters(core).queues.*what).read();
    }
    return all;
  }
  std::uint64_t resident() { return sum(&QueueUsage::resident_bytes); }

  void come_back() {
    subscriber.connect(persistent);
    world.advance(Milliseconds(500));
  }

  std::vector<std::string> wanted(std::size_t from, std::size_t to) const {
    std::vector<std::string> all;
    for (std::size_t i = from; i < to; ++i) {
      all.push_back(std::to_string(i));
    }
    return all;
  }

  World world;
  Client& publisher;
  Client& subscriber;
  std::vector<std::string> got;
};

}  // namespace

TEST_CASE("the queue of a client that is away leaves memory and comes back in order") {
  for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{2}}) {
    for (const mqtt::Qos qos : {q1, q2}) {
      CAPTURE(cores);
      CAPTURE(static_cast<int>(qos));
      Away away(cores, qos);
      away.publish(0, many, qos);
      CHECK(away.sum(&QueueUsage::messages) == many);
      away.page();
      CHECK(away.resident() == 0);
      CHECK(away.sum(&QueueUsage::messages) == many);
      CHECK(away.world.records(Family::messages) == many);
      away.come_back();
      CHECK(away.got == away.wanted(0, many));
      CHECK(away.sum(&QueueUsage::messages) == 0);
      CHECK(away.sum(&QueueUsage::bytes) == 0);
      CHECK(away.resident() == 0);
      away.world.advance(Seconds(1));
      CHECK(away.world.leftovers() == 0);
    }
  }
}

TEST_CASE("what comes while the queue is read back stands behind it") {
  for (const std::uint16_t cores : {std::uint16_t{1}, std::uint16_t{2}}) {
    CAPTURE(cores);
    Away away(cores);
    away.publish(0, many);
    away.page();
    away.world.reads_held = true;
    away.subscriber.connect(persistent);
    away.publish(many, many + 300);
    CHECK(away.got.empty());
    away.world.advance(Milliseconds(100));
    away.world.reads_held = false;
    away.world.step_read();
    away.publish(many + 300, many + 400);
    away.world.advance(Seconds(1));
    CHECK(away.got == away.wanted(0, many + 400));
    CHECK(away.world.leftovers() == 0);
  }
}

TEST_CASE("a connected client that does not acknowledge keeps little in memory and loses nothing") {
  Away away(1);
  away.subscriber.answers = false;
  ConnectOptions narrow = persistent;
  narrow.receive_maximum = 10;
  away.subscriber.connect(narrow);
  away.publish(0, many);
  away.page();
  CHECK(away.sum(&QueueUsage::messages) == many - 10);
  CHECK(away.resident() < 130 * 100);
  away.subscriber.drop();
  away.subscriber.answers = true;
  away.page();
  CHECK(away.resident() == 0);
  away.got.clear();
  away.come_back();
  CHECK(away.got == away.wanted(0, many));  // the ten that were open before, again
  CHECK(away.world.leftovers() == 0);
}

TEST_CASE("a connection that ends while its queue is being read leaves nothing behind") {
  Away away(2);
  away.publish(0, many);
  away.page();
  away.world.reads_held = true;
  for (int i = 0; i < 5; ++i) {
    away.subscriber.connect(persistent);  // takes over or comes anew
    away.world.run();
    if (i % 2 == 0) {
      away.subscriber.drop();
    }
  }
  away.world.reads_held = false;
  away.world.advance(Seconds(1));
  away.got.clear();
  away.come_back();
  CHECK(away.got == away.wanted(0, many));
  CHECK(away.world.leftovers() == 0);
}

TEST_CASE("the server dies anywhere while a queue comes back: nothing is lost, QoS 2 not doubled") {
  for (std::uint64_t at = 1; at < 400; at += 7) {
    CAPTURE(at);
    Away away(2, q2);
    away.publish(0, 200, q2);
    away.page();
    away.world.crash_at_step = away.world.steps() + at;
    try {
      away.come_back();
    } catch (const World::Crashed&) {
    }
    away.world.crash(static_cast<std::uint16_t>(at % 3 + 1));
    away.come_back();
    away.world.advance(Seconds(1));
    // An exchange of QoS 2 that was cut off is taken up again by its packet id; the test client
    // sees such a message again with DUP, in its place.
    std::vector<std::string> once;
    for (const std::string& each : away.got) {
      if (std::find(once.begin(), once.end(), each) == once.end()) {
        once.push_back(each);
      }
    }
    CHECK(once == away.wanted(0, 200));
    CHECK(away.world.leftovers() == 0);
  }
}

TEST_CASE("a queue that was restored is on disk alone until its client is back") {
  Away away(2);
  away.publish(0, many);
  away.world.crash(3);
  CHECK(away.resident() == 0);
  CHECK(away.sum(&QueueUsage::messages) == many);
  away.come_back();
  CHECK(away.got == away.wanted(0, many));
  CHECK(away.world.leftovers() == 0);
}

TEST_CASE("the caps hold for what is on disk alone, and the oldest goes and is counted") {
  WorldOptions options;
  options.limits.session_queue_messages_max = 100;
  Away away(1, q1, options);
  away.publish(0, 100);
  away.page();
  away.publish(100, 130);
  CHECK(away.world.dropped(DropReason::queue_full) == 30);
  away.page();
  CHECK(away.world.records(Family::messages) == 100);
  away.come_back();
  CHECK(away.got == away.wanted(30, 130));
  CHECK(away.world.leftovers() == 0);
}

TEST_CASE("what is dropped while it is being read is not sent") {
  WorldOptions options;
  options.limits.session_queue_messages_max = 100;
  Away away(1, q1, options);
  away.publish(0, 100);
  away.page();
  away.world.reads_held = true;
  away.subscriber.connect(persistent);
  away.publish(100, 140);
  away.world.reads_held = false;
  away.world.advance(Seconds(1));
  CHECK(away.got == away.wanted(40, 140));
  CHECK(away.world.leftovers() == 0);
}

TEST_CASE("a session that is removed ticks off what waited on disk, in slices") {
  for (const bool shared : {false, true}) {
    CAPTURE(shared);
    Away away(2);
    Client& other = away.world.client("other", 0);
    if (shared) {
      other.connect(persistent);
      away.world.run();
      other.subscribe("t/#", q1);
      away.world.run();
      other.drop();
    }
    away.publish(0, many);
    away.page();
    away.subscriber.connect({.clean = true});
    away.world.advance(Seconds(1));
    CHECK(away.sum(&QueueUsage::messages) == (shared ? many : 0));
    CHECK(away.world.records(Family::messages) == (shared ? many : 0));
    if (shared) {
      other.answers = true;
      other.connect(persistent);
      away.world.advance(Seconds(1));
    }
    CHECK(away.world.leftovers() == 0);
  }
}

TEST_CASE("a store that cannot be read is asked again, and a record that is gone is counted") {
  Away away(1);
  away.publish(0, 10);
  away.page();
  storage::Batch batch;
  const auto iterator = away.world.store().scan(Family::messages, {});
  iterator->seek_first();
  batch.erase(Family::messages, iterator->key());
  iterator->next();
  batch.erase(Family::messages, iterator->key());
  REQUIRE(away.world.store().write(batch, true).ok());
  storage::Batch damage;
  damage.put(Family::messages, iterator->key(), "damaged");
  REQUIRE(away.world.store().write(damage, true).ok());
  away.world.readers_busy = true;
  away.come_back();
  CHECK(away.got.empty());
  CHECK(away.subscriber.attached());
  away.world.readers_busy = false;
  away.world.advance(Seconds(1));
  CHECK(away.got == away.wanted(2, 10));
  CHECK(away.world.dropped(DropReason::unreadable) == 2);
  CHECK(away.world.leftovers() == 0);
}

TEST_CASE("a message that expired on disk is not sent") {
  Away away(1);
  away.publish(0, 5);
  away.publisher.publish("t/a", "short", {.qos = q1, .expiry = 1});
  away.publish(5, 10);
  away.page();
  away.world.advance(Seconds(2));
  away.come_back();
  CHECK(away.got == away.wanted(0, 10));
  CHECK(away.world.dropped(DropReason::expired) == 1);
  CHECK(away.world.leftovers() == 0);
}

TEST_CASE("subscription identifiers and flags are those of the record") {
  Away away(1);
  Client& other = away.world.client("other", 0);
  other.connect(persistent);
  away.world.run();
  other.subscribe("t/+", q2, {.maximum_qos = q2, .retain_as_published = true}, 7);
  other.subscribe("t/a", q1, {.maximum_qos = q1}, 9);
  away.world.run();
  other.drop();
  away.publisher.publish("t/a", "x", {.qos = q2, .retain = true});
  away.world.run();
  away.page();
  CHECK(away.resident() == 0);
  other.heard();
  other.connect(persistent);
  away.world.advance(Seconds(1));
  const std::string heard = other.heard();
  CAPTURE(heard);
  CHECK(heard.find("PUBLISH t/a=x q2 #1 retain") != std::string::npos);
  CHECK((heard.find("id=7") != std::string::npos && heard.find("9") != std::string::npos));
}

namespace {

/// Allows all until told otherwise.
struct Closing final : plugin::Authorizer {
  plugin::Decision decide(const plugin::Identity&, plugin::Action action,
                          std::string_view topic) const override {
    const bool denied = closed && action == plugin::Action::receive && topic == "t/a";
    return {denied ? plugin::Verdict::deny : plugin::Verdict::allow, "closing"};
  }
  std::uint64_t epoch() const noexcept override { return closed ? 2 : 1; }
  bool closed = false;
};

}  // namespace

TEST_CASE("the right to receive is judged when a message is read back") {
  Closing authorizer;
  Away away(1, q1, {.authorizer = &authorizer});
  away.publish(0, 20);
  away.publisher.publish("t/b", "allowed", {.qos = q1});
  away.world.run();
  away.page();
  authorizer.closed = true;
  away.come_back();
  CHECK(away.got == std::vector<std::string>{"allowed"});
  CHECK(away.world.dropped(DropReason::not_authorized) == 20);
  CHECK(away.world.leftovers() == 0);
}
