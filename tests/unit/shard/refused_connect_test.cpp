// CONNECT while storage fails or has not answered: what its client was not told has not happened,
// and what it was told survives a crash.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;

TEST_CASE("a session whose first CONNACK was a refusal is not present next time") {
  World world(1);
  Client& client = world.client("c");
  Client& observer = world.client("o");
  observer.connect();
  observer.subscribe("w", q0);
  world.run();
  observer.heard();
  world.store().fail_write(1, storage::StatusCode::full);
  ConnectOptions options = persistent;
  options.will = will_of("w", "a refused CONNECT leaves no will");
  client.connect(options);
  world.run();
  CHECK(client.heard() == "CONNACK 0x97");
  world.store().heal();
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00");
  CHECK(observer.heard() == "");
}

TEST_CASE("a session that was there stays when storage refuses one CONNECT of its client") {
  World world(1);
  Client& client = world.client("c");
  client.connect(persistent);
  world.run();
  client.drop();
  world.run();
  client.heard();
  world.store().fail_write(1, storage::StatusCode::full);
  ConnectOptions options = persistent;
  options.will = will_of("w", "which must be stored first");
  client.connect(options);
  world.run();
  CHECK(client.heard() == "CONNACK 0x97");
  world.store().heal();
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00 present");
}

TEST_CASE("a connection that ends before CONNACK leaves no session for next time") {
  World world(1);
  Client& client = world.client("c");
  Client& observer = world.client("o");
  observer.connect();
  observer.subscribe("w", q0);
  world.run();
  observer.heard();
  world.commits_held = true;
  ConnectOptions options = persistent;
  options.will = will_of("w", "of a CONNECT that was not answered");
  client.connect(options);
  SUBCASE("a packet that is none") {
    client.send_bytes(std::string(2, '\0'));
  }
  SUBCASE("the link breaks") {
    client.drop();
  }
  SUBCASE("DISCONNECT with Will Message") {
    client.disconnect(mqtt::Reason::disconnect_with_will_message);
  }
  SUBCASE("an operator ends it") {
    world.turn(client.core, [&](skerry::shard::Shard& shard) {
      shard.end_client(skerry::shard::session_key(client.owner, "c"),
                       skerry::shard::Shard::Ending::connection, world.now());
    });
  }
  SUBCASE("another CONNECT takes over") {}
  SUBCASE("the server goes") {
    world.restart();
    observer.connect();
    observer.subscribe("w", q0);
    world.run();
    observer.heard();
  }
  client.heard();
  client.connect(persistent);
  world.commits_held = false;
  world.run();
  CHECK(client.heard() == "CONNACK 0x00");
  world.advance(Seconds(5));
  CHECK(observer.heard() == "");
  client.disconnect(mqtt::Reason::success, 0);
  world.run();
  CHECK(world.records(storage::Family::sessions) == 0);
}

TEST_CASE("a connection that ends before CONNACK leaves a session that was there as it was") {
  World world(1);
  Client& client = world.client("c");
  client.connect(persistent);
  world.run();
  client.drop();
  world.run();
  client.heard();
  world.commits_held = true;
  ConnectOptions options = persistent;
  options.will = will_of("w", "which must be stored first");
  client.connect(options);
  client.drop();
  CHECK(client.heard() == "");
  world.commits_held = false;
  world.run();
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00 present");
}

TEST_CASE("CONNACK of a clean session waits until the stored one it replaces is gone for good") {
  World world(1);
  Client& client = world.client("c");
  client.connect(persistent);
  world.run();
  client.drop();
  world.run();
  client.heard();
  world.commits_held = true;
  client.connect();
  world.run();
  CHECK(client.heard() == "");
  world.commits_held = false;
  world.run();
  CHECK(client.heard() == "CONNACK 0x00");
  world.crash();
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00");
}

TEST_CASE("a stored session thrown away by a refused clean start stays away after the next") {
  World world(1);
  Client& client = world.client("c");
  client.connect(persistent);
  world.run();
  client.drop();
  world.run();
  client.heard();
  world.store().fail_write(1, storage::StatusCode::full);
  client.connect();
  world.run();
  CHECK(client.heard() == "CONNACK 0x97");
  world.store().heal();
  world.commits_held = true;
  client.connect();
  world.run();
  CHECK(client.heard() == "");
  world.commits_held = false;
  world.run();
  CHECK(client.heard() == "CONNACK 0x00");
  world.crash();
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00");
}

TEST_CASE(
    "a session that is resumed for longer than its record says is promised after the commit") {
  World world(1);
  Client& client = world.client("c");
  client.connect({.clean = false, .expiry = 5});
  world.run();
  client.drop();
  world.run();
  client.heard();
  world.skip(Seconds(4));
  world.commits_held = true;
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "");
  world.commits_held = false;
  world.run();
  CHECK(client.heard() == "CONNACK 0x00 present");
  world.crash();
  world.advance(Seconds(60));
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00 present");
}

TEST_CASE("a session whose record keeps it for long is resumed without waiting for storage") {
  World world(1);
  Client& client = world.client("c");
  client.connect(persistent);
  world.run();
  client.drop();
  world.run();
  client.heard();
  world.skip(Seconds(100));
  world.commits_held = true;
  client.connect(persistent);
  world.run();
  CHECK(client.heard() == "CONNACK 0x00 present");
}
