// What a shard tells of devices that come and go.
#include <doctest/doctest.h>

#include <string>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Reason;
using State = plugin::Standing::State;

namespace {

/// Writes down what it hears: "+s1" for a connection by certificate s1, "-s1 reason" for its end.
struct Notebook final : plugin::PresenceSink {
  void connected(const plugin::Identity& identity, std::string_view address, Now) override {
    CHECK(address == "192.0.2.1:1");
    lines.append("+").append(identity.certificate_serial).append(" ");
  }
  void disconnected(const plugin::Identity& identity, const char* reason, Now) override {
    lines.append("-").append(identity.certificate_serial).append(" ").append(reason).append(" ");
  }
  std::string lines;
};

struct Scene {
  Scene()
      : world({.cores = 1,
               .still_valid = [this](const plugin::Identity&,
                                     WallTime) { return plugin::Standing{state}; },
               .presence = &notebook}),
        device(world.client_of("device:d", "one")) {}

  void connect(std::string serial = "s1", std::uint16_t keep_alive = 0) {
    device.connect({.keep_alive = keep_alive, .serial = std::move(serial)});
    world.run();
  }

  Notebook notebook;
  State state = State::valid;
  World world;
  Client& device;
};

}  // namespace

TEST_CASE("each way of ending a connection has its reason") {
  Scene scene;
  scene.connect("s1", 1);
  std::string reason;
  SUBCASE("normal") {
    scene.device.disconnect();
    reason = "normal";
  }
  SUBCASE("with will") {
    scene.device.disconnect(Reason::disconnect_with_will_message);
    reason = "disconnect_with_will";
  }
  SUBCASE("lost") {
    scene.device.drop();
    reason = "connection_lost";
  }
  SUBCASE("silent") {
    scene.world.advance(Seconds(2));
    reason = "keep_alive_timeout";
  }
  SUBCASE("protocol error") {
    scene.device.send(mqtt::Connect{.client_id = "x"});
    reason = "protocol_error";
  }
  SUBCASE("expired") {
    scene.world.turn(CoreIndex{0}, [&](shard::Shard& shard) {
      shard.expire(scene.device.session(), scene.world.now());
    });
    reason = "expired";
  }
  SUBCASE("an operator") {
    scene.world.turn(CoreIndex{0}, [&](shard::Shard& shard) {
      CHECK(shard.end_client(shard::session_key("device:d", "one"),
                             shard::Shard::Ending::connection,
                             scene.world.now()) == plugin::AdminView::ClientOutcome::done);
    });
    reason = "administrative_action";
  }
  SUBCASE("suspended") {
    scene.state = State::suspended;
    scene.world.turn(CoreIndex{0}, [&](shard::Shard& shard) {
      shard.reevaluate("device:d", {}, scene.world.now());
    });
    reason = "suspended";
  }
  CHECK(scene.notebook.lines == "+s1 -s1 " + reason + " ");
}

TEST_CASE("a device that takes over its own session is told of before the other goes") {
  Scene scene;
  scene.connect("s1");
  scene.connect("s2");
  CHECK(scene.notebook.lines == "+s1 +s2 -s1 session_taken_over ");
}

TEST_CASE("clients without a certificate have no presence, nor has one that is refused") {
  Scene scene;
  scene.connect("");
  scene.device.disconnect();
  scene.world.client_of("user:u", "one").connect({.serial = "s1"});
  CHECK(scene.notebook.lines.empty());
}

TEST_CASE("an operator ends one connection or one session and no other") {
  Scene scene;
  Client& other = scene.world.client_of("device:d", "two");
  Client& watcher = scene.world.client_of("user:w", "w");
  watcher.connect();
  watcher.subscribe("will", q0);
  other.connect();
  scene.device.connect(
      {.clean = false, .expiry = 100, .will = will_of("will", "dead"), .serial = "s1"});
  scene.world.run();
  watcher.heard();
  scene.device.heard();
  using Ending = shard::Shard::Ending;
  using Outcome = plugin::AdminView::ClientOutcome;
  const auto end = [&](std::string_view id, Ending what) {
    Outcome outcome{};
    scene.world.turn(CoreIndex{0}, [&](shard::Shard& shard) {
      outcome = shard.end_client(shard::session_key("device:d", id), what, scene.world.now());
    });
    scene.world.run();
    return outcome;
  };
  CHECK(end("none", Ending::connection) == Outcome::not_found);
  CHECK(end("none", Ending::session) == Outcome::not_found);
  CHECK(end("one", Ending::connection) == Outcome::done);
  CHECK(scene.device.heard().substr(0, 15) == "DISCONNECT 0x98");
  CHECK(watcher.heard() == "PUBLISH will=dead q0");  // its rights have not ended
  CHECK(scene.world.records(storage::Family::sessions) == 1);
  CHECK(end("one", Ending::connection) == Outcome::not_connected);
  CHECK(end("one", Ending::session) == Outcome::done);
  CHECK(scene.world.records(storage::Family::sessions) == 0);
  CHECK(end("one", Ending::session) == Outcome::not_found);
  CHECK(other.attached());
}
