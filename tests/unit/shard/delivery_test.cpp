// What a delivery looks like: aliases, subscription identifiers, No Local, expiry, caps; and what
// the admin side sees.
#include <doctest/doctest.h>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Reason;
using mqtt::Version;

TEST_CASE("aliases of a client are resolved on its connection, and wrong ones end it with 0x94") {
  World world(2);
  Client& client = world.client("a", 0);
  Client& other = world.client("b", 1);
  client.connect();
  other.connect();
  other.subscribe("#", q0);
  world.run();
  client.heard();
  other.heard();
  client.publish("t/long", "1", {.alias = 1});
  client.publish("", "2", {.alias = 1});
  client.publish("t/other", "3", {.alias = 1});
  client.publish("", "4", {.alias = 1});
  world.run();
  CHECK(other.heard() ==
        "PUBLISH t/long=1 q0; PUBLISH t/long=2 q0; PUBLISH t/other=3 q0; PUBLISH t/other=4 q0");
  SUBCASE("zero") {
    client.publish("t", "x", {.alias = 0});
    client.send_bytes(std::string("\x30\x08\x00\x01t\x03\x23\x00\x00x", 10));
    CHECK(client.heard() == "DISCONNECT 0x94");
  }
  SUBCASE("above the maximum") {
    client.publish("t", "x", {.alias = std::uint16_t(world.limits().topic_alias_max + 1)});
    CHECK(client.heard() == "DISCONNECT 0x94");
  }
  SUBCASE("not set on this connection") {
    client.drop();
    client.connect();
    client.heard();
    client.publish("", "x", {.alias = 1});
    CHECK(client.heard() == "DISCONNECT 0x82");
  }
}

TEST_CASE("aliases towards a client stay within its maximum and begin anew with a connection") {
  World world(1);
  Client& client = world.client("a");
  client.connect({.topic_alias_maximum = 1});
  client.subscribe("#", q0);
  client.heard();
  client.publish("x", "1");
  client.publish("x", "2");
  client.publish("y", "3");
  CHECK(client.heard() == "PUBLISH x=1 q0 alias=1; PUBLISH =2 q0 alias=1; PUBLISH y=3 q0");
  client.drop();
  client.connect({.topic_alias_maximum = 1});
  client.subscribe("#", q0);
  client.heard();
  client.publish("x", "4");
  CHECK(client.heard() == "PUBLISH x=4 q0 alias=1");
}

TEST_CASE("overlapping filters give one delivery at the highest QoS with all identifiers") {
  for (const bool durable : {false, true}) {
    World world(2);
    Client& publisher = world.client("p", 0);
    Client& client = world.client("a", 1);
    publisher.connect();
    client.connect(durable ? persistent : ConnectOptions{});
    world.run();
    client.subscribe("t/#", q1, {}, 1);
    client.subscribe("t/+", q2, {}, 2);
    client.subscribe("t/x", q0);
    world.run();
    client.heard();
    publisher.publish("t/x", "a", {.qos = q2});
    publisher.publish("t/x", "b");
    world.run();
    const std::string text = client.heard();
    CHECK(text.find("t/x=a q2 #1 id=") != std::string::npos);
    CHECK(text.find("id=1") != std::string::npos);
    CHECK(text.find("id=2") != std::string::npos);
    CHECK(text.find("t/x=b q0 id=") != std::string::npos);
    client.subscribe("t/+", q2);  // replaces, without identifier
    client.unsubscribe("t/#");
    world.run();
    client.heard();
    publisher.publish("t/x", "c");
    world.run();
    CHECK(client.heard() == "PUBLISH t/x=c q0");
  }
}

TEST_CASE("No Local keeps a client's own messages from it, on every path") {
  for (const bool durable : {false, true}) {
    World world(2);
    Client& client = world.client("a");
    client.connect(durable ? persistent : ConnectOptions{});
    world.run();
    client.subscribe("t", q2, {.no_local = true});
    Client& other = world.client("b", 1);
    other.connect(persistent);
    world.run();
    other.subscribe("t", q2);
    world.run();
    client.heard();
    client.publish("t", "0");
    client.publish("t", "1", {.qos = q1});
    client.publish("t", "2", {.qos = q2});
    world.run();
    CHECK(client.heard() == "PUBACK #2; PUBREC #3");
    other.publish("t", "mine");
    world.run();
    CHECK(client.heard() == "PUBLISH t=mine q0");
  }
}

TEST_CASE(
    "a message that waited carries what is left of its expiry, and an expired one is dropped") {
  for (const bool restarts : {false, true}) {
    World world(2);
    Client& publisher = world.client("p", 0);
    Client& client = world.client("a", 1);
    publisher.connect();
    client.connect(persistent);
    world.run();
    client.subscribe("t", q1);
    world.run();
    client.drop();
    publisher.publish("t", "short", {.qos = q1, .expiry = 5});
    publisher.publish("t", "long", {.qos = q1, .expiry = 100});
    world.run();
    world.advance(Seconds(10));
    CHECK(world.dropped(DropReason::expired) == 1);  // though its client is still away
    if (restarts) {
      world.crash();
    }
    client.heard();
    client.connect(persistent);
    world.run();
    CHECK(client.heard() == "CONNACK 0x00 present; PUBLISH t=long q1 #1 expiry=90");
    client.puback(1);
    world.run();
    CHECK(world.leftovers() == 0);
  }
}

TEST_CASE("a full queue gives up its oldest messages and counts them") {
  WorldOptions options;
  options.limits.session_queue_messages_max = 3;
  World world(options);
  Client& publisher = world.client("p");
  Client& client = world.client("a");
  publisher.connect();
  client.connect(persistent);
  world.run();
  client.subscribe("t", q1);
  world.run();
  client.drop();
  for (const char* payload : {"a", "b", "c", "d", "e"}) {
    publisher.publish("t", payload, {.qos = q1});
  }
  world.run();
  CHECK(world.dropped(DropReason::queue_full) == 2);
  CHECK(world.records(storage::Family::messages) == 3);
  client.heard();
  client.connect(persistent);
  world.run();
  CHECK(client.heard() ==
        "CONNACK 0x00 present; PUBLISH t=c q1 #1; PUBLISH t=d q1 #2; PUBLISH t=e q1 #3");
}

TEST_CASE("who does not read holds few copies of QoS 1 messages and gets the rest as it reads") {
  constexpr int count = 700;
  World world(WorldOptions{});
  Client& publisher = world.client("p");
  publisher.answers = true;
  publisher.connect();
  Client& client = world.client("a");
  client.connect();
  client.subscribe("t", q1);
  world.run();
  client.take();
  client.stuck = true;
  for (int i = 0; i < count; ++i) {
    publisher.publish("t", std::string(1000, 'x'), {.qos = q1});
    world.run();
  }
  CHECK(client.link().bytes.size() < 256 * 1024 + 2000);
  client.stuck = false;
  std::size_t heard = 0;
  for (std::size_t got = 1; got != 0; heard += got) {
    client.collect();
    got = client.take().size();
    world.turn(client.core, [&](skerry::shard::Shard& shard) {
      shard.on_output_drained(client.session(), world.now());
    });
  }
  CHECK(heard == count);
}

TEST_CASE("a connection with too much unsent output loses QoS 0 and keeps the rest for later") {
  WorldOptions options;
  options.limits.output_bytes_max = 200;
  World world(options);
  Client& publisher = world.client("p");
  Client& client = world.client("a");
  publisher.connect();
  client.connect();
  client.subscribe("#", q1);
  world.run();
  client.heard();
  client.link().bytes.append(std::string(400, '\0'));  // as if the socket took nothing
  client.stuck = true;
  publisher.publish("t", "0");
  publisher.publish("t", "1", {.qos = q1});
  world.run();
  CHECK(world.dropped(DropReason::output_full) == 1);
  client.link().bytes.clear();
  client.stuck = false;
  SUBCASE("on_output_drained lets it go on") {
    world.turn(CoreIndex{0}, [&](skerry::shard::Shard& shard) {
      shard.on_output_drained(client.session(), world.now());
    });
    CHECK(client.heard() == "PUBLISH t=1 q1 #1");
  }
  SUBCASE("the next message does, too") {
    publisher.publish("t", "2", {.qos = q1});
    CHECK(client.heard() == "PUBLISH t=1 q1 #1; PUBLISH t=2 q1 #2");
  }
}

TEST_CASE("disconnect_owner ends all sessions of one owner, a few at a time") {
  World world(2);
  std::vector<Client*> mine;
  for (int i = 0; i < 10; ++i) {
    mine.push_back(&world.client_of("user:x", "c" + std::to_string(i)));
    mine.back()->connect(persistent);
  }
  Client& stranger = world.client_of("user:xx", "c");
  stranger.connect(persistent);
  world.run();
  mine[0]->drop();
  std::uint64_t closed = 0;
  for (std::uint16_t core = 0; core < 2; ++core) {
    bool done = false;
    while (!done) {
      world.turn(CoreIndex{core}, [&](skerry::shard::Shard& shard) {
        const auto progress =
            shard.disconnect_owner("user:x", Reason::administrative_action, 2, world.now());
        CHECK(progress.closed <= 2);
        closed += progress.closed;
        done = progress.done;
      });
    }
  }
  world.run();
  CHECK(closed == 10);
  CHECK(mine[1]->heard() == "CONNACK 0x00; DISCONNECT 0x98");
  CHECK(stranger.attached());
  CHECK(world.records(storage::Family::sessions) == 1);
}

TEST_CASE("clients are listed in pages") {
  World world(1);
  for (const char* owner : {"user:a", "user:ab", "user:b"}) {
    for (int i = 0; i < 3; ++i) {
      world.client_of(owner, "c" + std::to_string(i)).connect();
    }
  }
  const auto list = [&](plugin::AdminView::ClientQuery query) {
    std::string text;
    for (const auto& client : world.shard(CoreIndex{0}).list_clients(query)) {
      text += client.owner + "/" + client.client_id + " ";
    }
    return text;
  };
  CHECK(list({.owner = "user:a"}) == "user:a/c0 user:a/c1 user:a/c2 ");
  CHECK(list({.limit = 2}) == "user:a/c0 user:a/c1 ");
  CHECK(list({.after_owner = "user:a", .after_client_id = "c1", .limit = 2}) ==
        "user:a/c2 user:ab/c0 ");
  CHECK(list({.owner = "user:a", .after_owner = "user:a", .after_client_id = "c1"}) ==
        "user:a/c2 ");
  CHECK(list({.owner = "user:c"}) == "");
}

TEST_CASE("a shutdown says 0x8B, publishes no will and keeps the sessions") {
  World world(2);
  Client& watcher = world.client("w", 0);
  Client& client = world.client("a", 1);
  Client& old = world.client("b", 1, Version::v3_1_1);
  watcher.connect();
  watcher.subscribe("will", q0);
  client.connect({.clean = true, .expiry = 100, .will = will_of("will", "x", 50)});
  old.connect(persistent);
  world.run();
  watcher.heard();
  client.heard();
  old.heard();
  for (std::uint16_t core = 0; core < 2; ++core) {
    world.turn(CoreIndex{core}, [&](skerry::shard::Shard& shard) { shard.shut_down(world.now()); });
  }
  CHECK(client.heard() == "DISCONNECT 0x8b");
  CHECK(old.heard() == "");
  CHECK(old.link().closed);
  CHECK(watcher.heard() == "DISCONNECT 0x8b");
  world.restart();
  client.connect({.clean = false, .expiry = 100});
  world.run();
  CHECK(client.heard() == "CONNACK 0x00 present");
}

TEST_CASE("a connection that ends before its CONNACK hears a CONNACK and nothing else") {
  World world(1);
  world.commits_held = true;
  Client& first = world.client_of("user:a", "c");
  Client& second = world.client_of("user:a", "c");
  first.connect(persistent);
  second.connect(persistent);
  CHECK(first.heard() == "CONNACK 0x88");
  world.commits_held = false;
  world.run();
  CHECK(second.heard() == "CONNACK 0x00");
}

namespace {

struct Tap final : plugin::MessageTap {
  plugin::TapResult on_publish(const plugin::Identity&, const mqtt::Publish& publish, Now,
                               storage::Batch& batch) override {
    if (verdict == plugin::TapVerdict::stored) {
      batch.put(storage::Family::series, publish.topic, as_text(publish.payload));
    }
    return {verdict, "because"};
  }
  plugin::TapVerdict verdict = plugin::TapVerdict::not_mine;
};

}  // namespace

TEST_CASE("the tap's verdict decides: stored waits, rejected is 0x99, busy is 0x97") {
  for (const mqtt::Qos qos : {q1, q2}) {
    Tap tap;
    World world({.tap = &tap});
    Client& five = world.client("a");
    Client& three = world.client("b", 0, Version::v3_1_1);
    five.connect();
    three.connect();
    five.heard();
    three.heard();
    const std::string answer = qos == q1 ? "PUBACK" : "PUBREC";
    tap.verdict = plugin::TapVerdict::stored;
    world.commits_held = true;
    five.publish("t", "x", {.qos = qos});
    CHECK(five.heard() == "");
    world.commits_held = false;
    world.run();
    CHECK(five.heard() == answer + " #1");
    CHECK(world.records(storage::Family::series) == 1);
    tap.verdict = plugin::TapVerdict::rejected;
    five.publish("t", "x", {.qos = qos});
    three.publish("t", "x", {.qos = qos});
    CHECK(five.heard() == answer + " #2 0x99");
    CHECK(three.heard() == answer + " #1");
    tap.verdict = plugin::TapVerdict::busy;
    five.publish("t", "x", {.qos = qos, .packet_id = 9});
    CHECK(five.heard() == answer + " #9 0x97");
    three.publish("t", "x", {.qos = qos, .packet_id = 9});
    CHECK_FALSE(three.attached());
    tap.verdict = plugin::TapVerdict::not_mine;
    Client& watcher = world.client("w");
    watcher.connect();
    watcher.subscribe("t", q0);
    watcher.heard();
    five.publish("t", "again", {.qos = qos, .packet_id = 9});
    CHECK(five.heard() == answer + " #9");
    CHECK(watcher.heard() == "PUBLISH t=again q0");
  }
}

TEST_CASE("a client that asks and never reads is not read any more until it does") {
  WorldOptions options;
  options.limits.output_bytes_max = 1000;
  World world(options);
  Client& client = world.client("a");
  client.connect();
  client.collect();
  client.stuck = true;
  int pings = 0;
  while (!client.link().paused && pings < 10'000) {
    client.send_bytes(std::string("\xc0\x00", 2));
    ++pings;
  }
  CHECK(client.link().paused);
  CHECK(client.link().bytes.size() <= 2 * 1000 + 2);
  client.link().bytes.clear();
  world.turn(client.core, [&](skerry::shard::Shard& shard) {
    shard.on_output_drained(client.session(), world.now());
  });
  CHECK_FALSE(client.link().paused);
}

TEST_CASE("Receive Maximum begins anew with each connection") {
  WorldOptions options;
  options.limits.receive_maximum = 10;
  World world(options);
  Client& client = world.client("a");
  client.connect(persistent);
  world.run();
  for (int i = 0; i < 10; ++i) {
    client.publish("t", "x", {.qos = mqtt::Qos::exactly_once});
  }
  world.run();
  client.drop();
  client.connect({.clean = false, .expiry = 100});
  world.run();
  for (int i = 0; i < 10; ++i) {
    client.publish("t", "y", {.qos = mqtt::Qos::exactly_once});
  }
  world.run();
  CHECK(client.attached());
}

TEST_CASE("a will goes through the tap like any message of its client") {
  Tap tap;
  World world({.tap = &tap});
  Client& watcher = world.client("w");
  watcher.connect();
  watcher.subscribe("#", q1);
  world.run();
  watcher.heard();
  for (const auto verdict : {plugin::TapVerdict::rejected, plugin::TapVerdict::stored}) {
    tap.verdict = verdict;
    Client& client = world.client("a");
    client.connect({.will = mqtt::Will{.topic = "t", .payload = as_bytes("gone")}});
    client.drop();
    world.run();
    CHECK(watcher.heard() == (verdict == plugin::TapVerdict::stored ? "PUBLISH t=gone q0" : ""));
  }
}

TEST_CASE("the filters of one session have a cap in bytes, too") {
  World world(1);
  Client& client = world.client("a");
  client.connect();
  client.heard();
  for (int i = 0; i < 16; ++i) {
    client.subscribe(std::to_string(10 + i) + std::string(65'000, 'x'), q1);
  }
  world.run();
  CHECK(client.heard().find("0x97") == std::string::npos);
  client.subscribe(std::string(65'000, 'y'), q1);
  world.run();
  CHECK(client.heard().find("0x97") != std::string::npos);
}
