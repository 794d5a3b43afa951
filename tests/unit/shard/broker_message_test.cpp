// Messages by the broker itself: routed, queued and retained like any other, without a right to
// ask.
#include <doctest/doctest.h>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

constexpr std::uint16_t core_counts[] = {1, 3};

/// No client may publish.
struct Mute final : plugin::Authorizer {
  plugin::Decision decide(const plugin::Identity&, plugin::Action action,
                          std::string_view) const override {
    return {action == plugin::Action::publish ? plugin::Verdict::deny : plugin::Verdict::allow,
            "test"};
  }
  std::uint64_t epoch() const noexcept override { return 0; }
};

struct Broker {
  explicit Broker(std::uint16_t cores) : world({.cores = cores, .authorizer = &mute}) {}

  /// On the core that keeps the topic, as Server::publish does it.
  void publish(plugin::BrokerMessage message) {
    for (std::uint16_t core = 0; core < world.core_count(); ++core) {
      if (world.topic_on(core, message.topic) == message.topic) {
        return on(core, message);
      }
    }
    on(0, message);
  }
  void on(std::uint16_t core, const plugin::BrokerMessage& message) {
    world.turn(CoreIndex{core}, [&](shard::Shard& shard) {
      shard.publish(
          message, [this](storage::Status status) { answers.push_back(status.code); }, world.now());
    });
  }

  Mute mute;
  World world;
  std::vector<storage::StatusCode> answers;
};

}  // namespace

TEST_CASE("a message by the broker reaches subscribers of all cores, whoever may publish") {
  for (const std::uint16_t cores : core_counts) {
    Broker broker(cores);
    Client& near = broker.world.client("n", 0);
    Client& far = broker.world.client("f", 2);
    near.connect();
    far.connect();
    near.subscribe("devices/+/presence", q1);
    far.subscribe("devices/#", q0);
    broker.world.run();
    near.heard();
    far.heard();
    broker.on(0, {.topic = "devices/d/presence",
                  .payload = "x",
                  .content_type = "application/json",
                  .correlation_data = "c"});
    broker.world.run();
    near.collect();
    const auto* publish = near.inbox.at(0).as<mqtt::Publish>();
    REQUIRE(publish != nullptr);
    CHECK(publish->properties.content_type == "application/json");
    CHECK(as_text(*publish->properties.correlation_data) == "c");
    CHECK(near.heard() == "PUBLISH devices/d/presence=x q1 #1");
    CHECK(far.heard() == "PUBLISH devices/d/presence=x q0");
    CHECK(broker.answers == std::vector{storage::StatusCode::ok});
    CHECK(broker.world.counters(0).broker_messages.read() == 1);
  }
}

TEST_CASE("a message by the broker for a persistent session is answered when it is stored") {
  for (const std::uint16_t cores : core_counts) {
    Broker broker(cores);
    Client& sleeper = broker.world.client("s", 1);
    sleeper.connect(persistent);
    sleeper.subscribe("a", q1);
    broker.world.run();
    sleeper.drop();
    broker.world.run();
    broker.world.commits_held = true;
    broker.on(0, {.topic = "a", .payload = "x"});
    broker.world.run();
    CHECK(broker.answers.empty());
    broker.world.commits_held = false;
    broker.world.run();
    CHECK(broker.answers == std::vector{storage::StatusCode::ok});
    broker.world.crash();
    sleeper.connect(persistent);
    broker.world.run();
    CHECK(sleeper.heard().find("PUBLISH a=x q1") != std::string::npos);
  }
}

TEST_CASE("a retained message by the broker is stored before it is answered, also at QoS 0") {
  for (const mqtt::Qos qos : {q0, q1}) {
    Broker broker(3);
    const std::string topic = broker.world.topic_on(1, "t/");
    broker.world.commits_held = true;
    broker.on(1, {.topic = topic, .payload = "x", .qos = qos, .retain = true});
    broker.world.run();
    CHECK(broker.answers.empty());
    broker.world.commits_held = false;
    broker.world.run();
    CHECK(broker.answers == std::vector{storage::StatusCode::ok});
    CHECK(broker.world.records(storage::Family::retained) == 1);
    broker.on(1, {.topic = topic, .payload = "", .qos = qos, .retain = true});
    broker.world.run();
    CHECK(broker.answers.size() == 2);
    CHECK(broker.world.records(storage::Family::retained) == 0);
  }
}

TEST_CASE("a message by the broker that cannot be stored is not said to be") {
  Broker broker(1);
  SUBCASE("over the cap of retained messages") {
    broker.world.limits().retained_bytes_max = 1;
    broker.world.restart();
    broker.on(0, {.topic = "t", .payload = "x", .retain = true});
    broker.world.run();
    CHECK(broker.answers == std::vector{storage::StatusCode::full});
  }
  SUBCASE("the store fails") {
    broker.world.store().fail_write(1, storage::StatusCode::io_error);
    broker.on(0, {.topic = "t", .payload = "x", .retain = true});
    broker.world.run();
    CHECK(broker.answers == std::vector{storage::StatusCode::full});
  }
}
