// CONNECT: sessions that begin, resume, are taken over and end; keep alive; wills.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Reason;
using mqtt::Version;
using session::CloseCause;

TEST_CASE("a clean connection is accepted at once and costs the disk nothing") {
  World world(1);
  Client& client = world.client("a");
  CHECK(client.connect());
  CHECK(client.heard() == "CONNACK 0x00");
  client.disconnect();
  world.run();
  CHECK(client.link().cause == CloseCause::client_disconnected);
  CHECK(world.records(storage::Family::sessions) == 0);
  CHECK(world.counters().sessions.read() == 0);
}

TEST_CASE("CONNACK tells the server's limits") {
  World world(1);
  Client& client = world.client("a");
  client.connect();
  const auto packets = client.take();
  REQUIRE(packets.size() == 1);
  const auto* connack = packets[0].as<mqtt::Connack>();
  REQUIRE(connack != nullptr);
  CHECK(connack->receive_maximum == world.limits().receive_maximum);
  CHECK(connack->maximum_packet_size == world.limits().packet_size_max);
  CHECK(connack->topic_alias_maximum == world.limits().topic_alias_max);
  CHECK_FALSE(connack->server_keep_alive.has_value());
  CHECK_FALSE(connack->session_expiry_interval.has_value());
  CHECK_FALSE(connack->assigned_client_identifier.has_value());
}

TEST_CASE("CONNACK of a new persistent session waits for the commit") {
  for (const Version version : {Version::v3_1, Version::v3_1_1, Version::v5}) {
    World world(1);
    Client& client = world.client("a", 0, version);
    client.connect(persistent);
    CHECK(client.heard() == "");
    world.run();
    CHECK(client.heard() == "CONNACK 0x00");
    CHECK(world.records(storage::Family::sessions) == 1);
  }
}

TEST_CASE("a persistent session is present again, and gone after clean start") {
  World world(2);
  Client& client = world.client("a", 1);
  client.connect(persistent);
  world.run();
  client.drop();
  world.run();
  client.heard();
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00 present");
  client.drop();
  client.connect({.clean = true, .expiry = 10});
  world.run();
  CHECK(client.heard() == "CONNACK 0x00");
  client.disconnect(Reason::success, 0);
  world.run();
  CHECK(world.records(storage::Family::sessions) == 0);
}

TEST_CASE("a session is not resumed under another policy") {
  // What it subscribed on an open listener would reach it on one that holds it to its own topics.
  World world(2);
  Client& client = world.client("a", 1);
  client.connect(persistent);
  world.run();
  client.drop();
  client.heard();
  client.connect({.clean = false, .expiry = 10, .policy = plugin::PolicyKind::device});
  world.run();
  CHECK(client.heard() == "CONNACK 0x00");
}

TEST_CASE("an expiry above the limit is cut and told") {
  WorldOptions options;
  options.limits.session_expiry_max_seconds = 60;
  World world(options);
  Client& client = world.client("a");
  client.connect({.clean = true, .expiry = 0xffffffff});
  world.run();
  const auto packets = client.take();
  REQUIRE(packets.size() == 1);
  CHECK(packets[0].as<mqtt::Connack>()->session_expiry_interval == 60);
}

TEST_CASE("a session ends when its expiry has passed") {
  World world(1);
  Client& client = world.client("a");
  client.connect({.clean = true, .expiry = 10});
  world.run();
  client.drop();
  world.advance(Seconds(9));
  CHECK(world.counters().sessions.read() == 1);
  world.advance(Seconds(2));
  CHECK(world.counters().sessions.read() == 0);
  CHECK(world.records(storage::Family::sessions) == 0);
}

TEST_CASE("DISCONNECT may change the expiry, but not from zero") {
  World world(1);
  Client& client = world.client("a");
  SUBCASE("shortened") {
    client.connect({.clean = true, .expiry = 1000});
    world.run();
    client.disconnect(Reason::success, 5);
    world.advance(Seconds(6));
    CHECK(world.counters().sessions.read() == 0);
  }
  SUBCASE("from zero it is a protocol error") {
    client.connect();
    client.heard();
    client.disconnect(Reason::success, 5);
    CHECK(client.heard() == "DISCONNECT 0x82");
    CHECK(client.link().closed);
  }
}

TEST_CASE("a second connection takes over, and the first hears 0x8E") {
  World world(2);
  Client& first = world.client_of("user:x", "c");
  Client& second = world.client_of("user:x", "c");
  Client& stranger = world.client_of("user:y", "c");
  first.connect();
  stranger.connect();
  first.heard();
  stranger.heard();
  second.connect();
  CHECK(first.heard() == "DISCONNECT 0x8e");
  CHECK(first.link().cause == CloseCause::taken_over);
  CHECK(second.heard() == "CONNACK 0x00");
  CHECK(stranger.heard() == "");
  CHECK(stranger.attached());
}

TEST_CASE("a second CONNECT on one connection is a protocol error") {
  World world(1);
  Client& client = world.client("a");
  client.connect();
  client.heard();
  client.send(mqtt::Connect{.client_id = "a"});
  CHECK(client.heard() == "DISCONNECT 0x82");
}

TEST_CASE("silence for one and a half keep alives ends the connection") {
  World world(1);
  Client& client = world.client("a");
  client.connect({.keep_alive = 10});
  client.heard();
  world.advance(Seconds(14));
  client.send(mqtt::Pingreq{});
  CHECK(client.heard() == "PINGRESP");
  world.advance(Seconds(14));
  CHECK(client.attached());
  world.advance(Seconds(2));
  CHECK(client.heard() == "DISCONNECT 0x8d");
  CHECK(client.link().cause == CloseCause::keep_alive_timeout);
}

TEST_CASE("the server's keep alive is told to version 5 and not forced on others") {
  WorldOptions options;
  options.limits.keep_alive_max_seconds = 10;
  World world(options);
  Client& five = world.client("a");
  Client& three = world.client("b", 0, Version::v3_1_1);
  five.connect({.keep_alive = 100});
  three.connect({.keep_alive = 100});
  CHECK(five.take()[0].as<mqtt::Connack>()->server_keep_alive == 10);
  world.advance(Seconds(16));
  CHECK_FALSE(five.attached());
  CHECK(three.attached());  // 3.1.1 has no way to hear of another interval than its own
  world.advance(Seconds(140));
  CHECK_FALSE(three.attached());
}
