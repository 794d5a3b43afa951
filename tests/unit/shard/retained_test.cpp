// Retained messages: kept by one core each, sent to new subscriptions on any.
#include <doctest/doctest.h>

#include <set>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

constexpr std::uint16_t core_counts[] = {1, 3};

std::string hear_retained(World& world, Client& client, std::string_view filter,
                          const mqtt::SubscriptionOptions& options = {}, mqtt::Qos qos = q0) {
  client.heard();
  client.subscribe(filter, qos, options);
  world.run();
  std::string text;
  for (const Received& each : client.take()) {
    if (each.as<mqtt::Publish>() != nullptr) {
      text += (text.empty() ? "" : "; ") + describe(each.packet);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a retained message is kept, replaced, and deleted by an empty payload") {
  for (const std::uint16_t cores : core_counts) {
    for (std::uint16_t owner = 0; owner < cores; ++owner) {
      World world(cores);
      const std::string topic = world.topic_on(owner, "r");
      Client& client = world.client("a");
      client.connect();
      client.publish(topic, "1", {.qos = q1, .retain = true});
      client.publish(topic, "2", {.qos = q1, .retain = true});
      world.run();
      CHECK(client.heard() == "CONNACK 0x00; PUBACK #1; PUBACK #2");
      Client& other = world.client("b", 1);
      other.connect();
      CHECK(hear_retained(world, other, topic) == "PUBLISH " + topic + "=2 q0 retain");
      CHECK(world.records(storage::Family::retained) == 1);
      client.publish(topic, "", {.retain = true});
      client.publish(topic, "not retained");
      world.run();
      CHECK(other.heard() == "PUBLISH " + topic + "= q0; PUBLISH " + topic + "=not retained q0");
      CHECK(hear_retained(world, other, topic) == "");
      CHECK(world.records(storage::Family::retained) == 0);
    }
  }
}

TEST_CASE("the acknowledgement of a retained message waits for the commit of its keeper") {
  World world(2);
  Client& client = world.client("a");
  client.connect();
  client.heard();
  for (std::uint16_t owner = 0; owner < 2; ++owner) {
    world.commits_held = true;
    client.publish(world.topic_on(owner, "r"), "x", {.qos = q1, .retain = true});
    world.run();
    CHECK(client.heard() == "");
    world.commits_held = false;
    world.run();
    CHECK(client.heard() == "PUBACK #" + std::to_string(owner + 1));
  }
}

TEST_CASE("retain handling: always, for a new subscription, never") {
  for (const std::uint16_t cores : core_counts) {
    World world(cores);
    Client& client = world.client("a");
    client.connect();
    client.publish("r", "x", {.retain = true});
    world.run();
    const std::string sent = "PUBLISH r=x q0 retain";
    CHECK(hear_retained(world, client, "r", {.retain_handling = 2}) == "");
    CHECK(hear_retained(world, client, "r", {.retain_handling = 1}) == "");
    CHECK(hear_retained(world, client, "r", {.retain_handling = 0}) == sent);
    client.unsubscribe("r");
    CHECK(hear_retained(world, client, "r", {.retain_handling = 1}) == sent);
    CHECK(hear_retained(world, client, "$share/g/r", {.retain_handling = 0}) == "");
  }
}

TEST_CASE("retain as published keeps the flag, its absence clears it") {
  World world(2);
  Client& keeps = world.client("a", 0);
  Client& clears = world.client("b", 1);
  for (Client* client : {&keeps, &clears}) {
    client->connect(persistent);
    world.run();
    client->subscribe("r", q1, {.retain_as_published = client == &keeps});
    world.run();
    client->heard();
  }
  clears.publish("r", "x", {.retain = true});
  clears.publish("r", "y", {.qos = q2, .retain = true});
  clears.publish("r", "z");
  world.run();
  CHECK(keeps.heard() == "PUBLISH r=x q0 retain; PUBLISH r=z q0; PUBLISH r=y q1 #1 retain");
  CHECK(clears.heard().find("retain") == std::string::npos);
}

TEST_CASE("a wildcard waits for a client that does not read, and nothing is lost or out of date") {
  for (const std::uint16_t cores : core_counts) {
    for (const mqtt::Qos qos : {q0, q1}) {
      CAPTURE(cores);
      CAPTURE(qos);
      WorldOptions options;
      options.cores = cores;
      options.limits.output_bytes_max = 2'000;
      World world(options);
      Client& client = world.client("a");
      client.connect();
      for (int i = 0; i < 500; ++i) {
        client.publish("r/" + std::to_string(i), "old", {.qos = qos, .retain = true});
      }
      world.run();
      Client& slow = world.client("b", cores > 1 ? 1 : 0);
      slow.connect();
      world.run();
      slow.heard();
      slow.stuck = true;
      slow.subscribe("r/#", qos);
      world.run();
      world.advance(Milliseconds(50));
      CHECK(slow.link().bytes.size() < 2'000);
      client.publish("r/499", "new", {.qos = qos, .retain = true});
      world.run();
      std::map<std::string, std::string> newest;
      for (int reads = 0; reads < 1'000 && newest.size() < 500; ++reads) {
        slow.stuck = false;
        slow.collect();
        for (const Received& each : slow.take()) {
          if (const auto* publish = each.as<mqtt::Publish>()) {
            newest[std::string(publish->topic)] = as_text(publish->payload);
          }
        }
        slow.stuck = true;
        world.turn(slow.core, [&](skerry::shard::Shard& shard) {
          shard.on_output_drained(slow.session(), world.now());
        });
        world.advance(Milliseconds(5));
      }
      CHECK(newest.size() == 500);
      CHECK(newest["r/499"] == "new");
      CHECK(world.dropped(DropReason::output_full) == 0);
    }
  }
}

TEST_CASE("who goes away in the middle of a wildcard leaves nothing of it behind") {
  for (const std::uint16_t cores : core_counts) {
    WorldOptions options;
    options.cores = cores;
    options.limits.output_bytes_max = 2'000;
    World world(options);
    Client& client = world.client("a");
    client.connect();
    for (int i = 0; i < 500; ++i) {
      client.publish("r/" + std::to_string(i), "x", {.retain = true});
    }
    world.run();
    Client& slow = world.client("b", cores > 1 ? 1 : 0);
    slow.connect();
    slow.stuck = true;
    slow.subscribe("r/#", q0);
    world.run();
    slow.drop();
    world.advance(Milliseconds(50));
    world.run();
    for (std::uint16_t core = 0; core < cores; ++core) {
      for (const auto& size : world.shard(CoreIndex{core}).sizes()) {
        const std::string_view name = size.name;
        if (name.find("scan") != name.npos || name.find("slice") != name.npos) {
          CAPTURE(name);
          CHECK(size.count == 0);
        }
      }
    }
  }
}

TEST_CASE("a wildcard gets all retained messages of all cores, in slices") {
  for (const std::uint16_t cores : core_counts) {
    World world(cores);
    Client& client = world.client("a");
    client.connect();
    for (int i = 0; i < 1000; ++i) {
      client.publish("r/" + std::to_string(i), "x", {.retain = true});
    }
    client.publish("$hidden/x", "x", {.retain = true});
    world.run();
    Client& other = world.client("b", 1);
    for (const ConnectOptions& how : {ConnectOptions{}, persistent}) {
      other.connect(how);
      other.answers = true;
      std::set<std::string> topics;
      other.on_packet = [&](const mqtt::Packet& packet) {
        if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
          CHECK(publish->retain);
          CHECK(topics.insert(std::string(publish->topic)).second);
        }
      };
      other.subscribe("#", q1);
      world.run();
      CHECK(topics.size() == 1000);
      topics.clear();
      other.drop();
    }
    CHECK(world.leftovers() == 0);
  }
}

TEST_CASE("a flood of wildcard subscriptions asks for each filter's retained messages once") {
  for (const std::uint16_t cores : core_counts) {
    World world(cores);
    Client& client = world.client("a");
    client.connect();
    constexpr int count = 2000;  // more than the turns of the flood can send
    for (int i = 0; i < count; ++i) {
      client.publish("r/" + std::to_string(i), "x", {.retain = true});
    }
    world.run();
    Client& flood = world.client("b", 1);
    flood.connect();
    std::size_t received = 0;
    flood.on_packet = [&](const mqtt::Packet& packet) {
      received += std::holds_alternative<mqtt::Publish>(packet) ? 1 : 0;
    };
    for (int i = 0; i < 20; ++i) {
      flood.subscribe("#", mqtt::Qos::at_most_once);  // while the first answer is under way
    }
    world.run();
    CHECK(received >= count);
    CHECK(received < 4 * count);
    received = 0;
    flood.subscribe("#", mqtt::Qos::at_most_once);  // afterwards all of it comes again
    world.run();
    CHECK(received == count);
  }
}

TEST_CASE("retained messages survive a restart with other cores") {
  World world(3);
  Client& client = world.client("a");
  client.connect();
  for (int i = 0; i < 50; ++i) {
    client.publish("r/" + std::to_string(i), std::to_string(i), {.qos = q1, .retain = true});
  }
  world.run();
  world.crash(2);
  client.connect();
  client.heard();
  client.subscribe("r/+", q0);
  world.run();
  CHECK(client.take().size() == 51);
}

TEST_CASE("an expired retained message is not sent, and goes by itself") {
  World world(2);
  Client& client = world.client("a");
  client.connect();
  client.publish("r/1", "x", {.retain = true, .expiry = 10});
  client.publish("r/2", "x", {.retain = true});
  world.run();
  client.heard();
  world.advance(Seconds(4));
  CHECK(hear_retained(world, client, "r/1") == "PUBLISH r/1=x q0 retain expiry=6");
  world.advance(Seconds(8));
  CHECK(world.records(storage::Family::retained) == 1);
  CHECK(hear_retained(world, client, "r/1") == "");
}

TEST_CASE("over the cap a retained message is refused with 0x97 and not routed") {
  WorldOptions options;
  options.limits.retained_messages_max = 1;
  for (const mqtt::Qos qos : {q1, q2}) {
    World world(options);
    Client& client = world.client("a");
    client.connect(persistent);
    world.run();
    client.subscribe("#", q2);
    world.run();
    for (const char* topic : {"1", "2", "3"}) {
      client.publish(topic, "x", {.qos = qos, .retain = true, .packet_id = 9});
      world.run();
      client.heard();
      if (qos == q2) {
        client.pubrel(9);
        client.pubrec(topic[0] == '1' ? 1 : 2);
        world.run();
        client.pubcomp(topic[0] == '1' ? 1 : 2);
        world.run();
        client.heard();
      }
    }
    client.publish("2", "again", {.qos = qos, .retain = true, .packet_id = 9});
    client.publish("4", "x", {.qos = qos, .retain = true, .packet_id = 10});
    world.run();
    CHECK(client.heard().find("#10 0x97") != std::string::npos);
    CHECK(world.records(storage::Family::retained) == 2);
    CHECK(world.records(storage::Family::inflight) <= 2);  // not that of packet id 10
  }
}

TEST_CASE("a QoS 2 message whose retained half failed elsewhere leaves nothing behind") {
  WorldOptions options;
  options.cores = 2;
  options.limits.retained_messages_max = 1;
  World world(options);
  Client& client = world.client("a");
  client.connect(persistent);
  world.run();
  client.subscribe("#", q2);
  world.run();
  Client& filler = world.client("f");
  filler.connect();
  for (int i = 0; i < 40; ++i) {
    filler.publish("fill/" + std::to_string(i), "x", {.retain = true});
  }
  world.run();
  client.heard();
  client.publish(world.topic_on(1, "r"), "x", {.qos = q2, .retain = true});
  world.run();
  CHECK(client.heard() == "PUBREC #2 0x97");
  CHECK(world.leftovers() == 0);
}

TEST_CASE("a retained message for a core whose mailbox is full waits for turns of others") {
  World world(2);
  Client& client = world.client("a");
  client.connect();
  const std::string topic = world.topic_on(1, "r");
  client.publish(topic, "x", {.qos = q1, .retain = true});
  world.run();
  client.heard();
  world.mailboxes_full = true;
  client.subscribe(topic, q0);
  while (world.step_commit() || world.step_mail() || world.step_completion()) {
  }
  CHECK(world.shard(CoreIndex{1}).turn_is_empty());
  CHECK(world.shard(CoreIndex{1}).next_deadline() > world.now().steady);
  client.heard();
  world.mailboxes_full = false;
  world.advance(Milliseconds(5));
  CHECK(client.heard() == "PUBLISH " + topic + "=x q0 retain");
}

TEST_CASE("nothing retained comes for a subscription that has ended meanwhile [MQTT-3.10.4-2]") {
  for (const std::uint16_t keeper : {std::uint16_t{0}, std::uint16_t{1}}) {
    World world(2);
    Client& client = world.client("a");
    client.connect();
    const std::string topic = world.topic_on(keeper, "r");
    client.publish(topic, "x", {.qos = q1, .retain = true});
    world.run();
    client.heard();
    world.mailboxes_full = true;  // so that the answer is held up
    client.subscribe(topic, q1);
    while (world.step_commit() || world.step_mail() || world.step_completion()) {
    }
    client.unsubscribe(topic);
    while (world.step_commit() || world.step_mail() || world.step_completion()) {
    }
    CHECK(client.heard() == "SUBACK #2 0x01; UNSUBACK #3 0x00");
    world.mailboxes_full = false;
    world.advance(Milliseconds(50));
    CHECK(client.heard() == "");
  }
}
