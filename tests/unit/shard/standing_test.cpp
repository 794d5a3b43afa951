// Who may stay: what becomes of live sessions, of those that wait and of their wills and queues
// when rights end.
#include <doctest/doctest.h>

#include <set>

#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Reason;
using session::CloseCause;
using State = plugin::Standing::State;

namespace {

constexpr std::uint16_t core_counts[] = {1, 3};

/// Denies subscribing to and receiving what begins with one of `closed`; what it allows it covers.
struct Doors final : plugin::Authorizer {
  plugin::Decision decide(const plugin::Identity&, plugin::Action,
                          std::string_view topic) const override {
    for (const std::string& prefix : closed) {
      if (topic.starts_with(prefix)) {
        return {plugin::Verdict::deny, "closed"};
      }
    }
    return {plugin::Verdict::allow_and_covers, "open"};
  }
  std::uint64_t epoch() const noexcept override { return closed.size() + 1; }

  std::set<std::string> closed;
};

struct Scene {
  explicit Scene(std::uint16_t cores, bool drop = true)
      : world({.cores = cores,
               .authorizer = &doors,
               .still_valid = [this](const plugin::Identity& who, WallTime) { return judge(who); },
               .drop_revoked_queues = drop}),
        watcher(world.client("w", 0)),
        device(world.client_of("device:d", "one")) {
    watcher.connect();
    watcher.subscribe("#", q1);
    world.run();
    watcher.heard();
    watcher.answers = true;
  }

  plugin::Standing judge(const plugin::Identity& who) {
    if (who.kind != plugin::IdentityKind::device) {
      return {};
    }
    const auto serial = by_serial.find(who.certificate_serial);
    return {serial != by_serial.end() ? serial->second : state, until};
  }

  std::uint64_t reevaluate(std::string_view owner = "device:d") {
    std::uint64_t ended = 0;
    for (std::uint16_t core = 0; core < world.core_count(); ++core) {
      shard::Shard::Reevaluation progress;
      do {
        world.turn(CoreIndex{core}, [&](shard::Shard& shard) {
          progress = shard.reevaluate(owner, progress.next, world.now());
        });
        ended += progress.ended;
        ++slices;
      } while (!progress.done);
    }
    world.run();
    return ended;
  }

  /// A session with a subscription, a will and, after it has gone, a message that waits.
  void fill(std::uint32_t will_delay = 60) {
    device.connect({.clean = false,
                    .expiry = 3600,
                    .will = will_of("will", "dead", will_delay),
                    .serial = "s1"});
    device.subscribe("in", q1);
    world.run();
    device.heard();
  }
  void let_wait() {
    device.drop();
    watcher.publish("in", "queued", {.qos = q1});
    world.run();
    watcher.heard();
  }

  Doors doors;
  State state = State::valid;
  std::map<std::string, State> by_serial;
  WallTime until = WallTime::max();
  World world;
  Client& watcher;
  Client& device;
  int slices = 0;
};

struct Expectation {
  State state;
  const char* heard;
  CloseCause cause;
  bool drops;  ///< with authorization.on_revocation: drop
  bool drops_always;
};

const Expectation expectations[] = {
    {State::expired, "DISCONNECT 0x87", CloseCause::expired, false, false},
    {State::denied, "DISCONNECT 0x87", CloseCause::not_authorized, false, false},
    {State::revoked, "DISCONNECT 0x98", CloseCause::revoked, true, false},
    {State::suspended, "DISCONNECT 0x98", CloseCause::suspended, true, false},
    {State::retired, "DISCONNECT 0x98", CloseCause::retired, true, true},
    {State::erased, "DISCONNECT 0x98", CloseCause::erased, true, true},
};

}  // namespace

TEST_CASE("a live session whose right has ended is told, loses its will and perhaps its queue") {
  for (const Expectation& expected : expectations) {
    for (const bool drop : {true, false}) {
      CAPTURE(expected.heard);
      Scene scene(2, drop);
      scene.fill(0);
      CHECK(scene.reevaluate() == 0);
      scene.state = expected.state;
      CHECK(scene.reevaluate() == 1);
      CHECK(scene.device.heard().substr(0, 15) == expected.heard);
      CHECK(scene.device.link().cause == expected.cause);
      scene.world.advance(Seconds(100));
      CHECK(scene.watcher.heard().find("dead") == std::string::npos);
      const bool dropped = expected.drops_always || (drop && expected.drops);
      CHECK(scene.world.records(storage::Family::sessions) == (dropped ? 0 : 1));
      CHECK(scene.world.records(storage::Family::subscriptions) == (dropped ? 0 : 1));
      CHECK(scene.reevaluate() == 0);
    }
  }
}

TEST_CASE("a session that waits for its device is judged as well, its delayed will too") {
  for (const Expectation& expected : expectations) {
    for (const bool drop : {true, false}) {
      for (const bool restart : {false, true}) {
        CAPTURE(expected.heard);
        CAPTURE(restart);
        Scene scene(2, drop);
        scene.fill();
        scene.let_wait();
        CHECK(scene.world.records(storage::Family::messages) == 1);
        scene.state = expected.state;
        if (restart) {  // it happened in the moment before the server died
          scene.world.crash();
          scene.watcher.connect();
          scene.watcher.subscribe("#", q1);
          scene.world.run();
          scene.watcher.heard();
        } else {
          CHECK(scene.reevaluate() == 1);
        }
        scene.world.advance(Seconds(100));
        CHECK(scene.watcher.heard().find("dead") == std::string::npos);
        const bool dropped = expected.drops_always || (drop && expected.drops);
        CHECK(scene.world.records(storage::Family::messages) == (dropped ? 0 : 1));
        scene.world.crash();  // nor does it come back with another restart
        scene.state = State::valid;
        scene.device.connect({.clean = false, .expiry = 3600, .serial = "s2"});
        scene.world.run();
        const bool delivered = scene.device.heard().find("queued") != std::string::npos;
        CHECK(delivered == !dropped);
      }
    }
  }
}

TEST_CASE("a will that is due when the right has ended meanwhile is not published") {
  Scene scene(1);
  scene.fill(0);
  scene.state = State::revoked;  // and nobody has said so yet
  scene.device.drop();
  scene.world.run();
  CHECK(scene.watcher.heard().find("dead") == std::string::npos);
  CHECK(scene.world.counters().wills_published.read() == 0);
}

TEST_CASE("one revoked certificate ends the sessions that it opened and no others") {
  for (const std::uint16_t cores : core_counts) {
    Scene scene(cores);
    Client& other = scene.world.client_of("device:d", "two");
    Client& third = scene.world.client_of("device:e", "one");
    scene.fill();
    other.connect({.serial = "s2"});
    third.connect({.serial = "s3"});
    scene.world.run();
    SUBCASE("by judging again") {
      scene.by_serial["s1"] = State::revoked;
      CHECK(scene.reevaluate() == 1);
    }
    SUBCASE("by its serial or its key") {
      const char* credential = nullptr;
      SUBCASE("serial") {
        credential = "s1";
      }
      SUBCASE("key") {
        credential = "key-s1";
      }
      std::uint64_t closed = 0;
      for (std::uint16_t core = 0; core < cores; ++core) {
        scene.world.turn(CoreIndex{core}, [&](shard::Shard& shard) {
          closed += shard
                        .disconnect_credential(credential, Reason::administrative_action, 32,
                                               scene.world.now())
                        .closed;
        });
      }
      CHECK(closed == 1);
    }
    scene.world.run();
    CHECK_FALSE(scene.device.attached());
    CHECK(other.attached());
    CHECK(third.attached());
  }
}

TEST_CASE("a session that waits remembers over a restart which key opened it") {
  Scene scene(2);
  scene.fill();
  scene.let_wait();
  scene.world.crash(3);
  std::uint64_t closed = 0;
  for (std::uint16_t core = 0; core < 3; ++core) {
    scene.world.turn(CoreIndex{core}, [&](shard::Shard& shard) {
      closed +=
          shard
              .disconnect_credential("key-s1", Reason::administrative_action, 32, scene.world.now())
              .closed;
    });
  }
  scene.world.run();
  CHECK(closed == 1);
  CHECK(scene.world.records(storage::Family::sessions) == 0);
  CHECK(scene.world.leftovers() == 0);
}

TEST_CASE("many sessions are judged in slices, and one that has been judged is not judged twice") {
  Scene scene(1);
  std::vector<Client*> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(&scene.world.client_of("device:d", "many" + std::to_string(i)));
    all.back()->connect({.serial = "s" + std::to_string(i)});
  }
  scene.world.run();
  scene.state = State::revoked;
  CHECK(scene.reevaluate({}) == 100);
  CHECK(scene.slices == 4);
  CHECK(scene.watcher.attached());
  for (const Client* client : all) {
    CHECK_FALSE(client->attached());
  }
}

TEST_CASE("a policy that takes a subscription away ends the connection and what waited for it") {
  for (const std::uint16_t cores : core_counts) {
    Scene scene(cores);
    scene.device.connect({.clean = false, .expiry = 3600, .serial = "s1"});
    scene.device.subscribe("shut/#", q1);
    scene.device.subscribe("open/#", q1);
    scene.world.run();
    scene.device.heard();
    const auto publish = [&] {
      scene.watcher.publish("shut/x", "secret", {.qos = q1});
      scene.watcher.publish("open/x", "plain", {.qos = q1});
      scene.world.run();
    };
    SUBCASE("live") {
      scene.doors.closed.insert("shut/");
      CHECK(scene.reevaluate({}) == 1);
      CHECK(scene.device.heard().substr(0, 15) == "DISCONNECT 0x87");
      CHECK(scene.device.link().cause == CloseCause::not_authorized);
      publish();
    }
    SUBCASE("waiting, with messages in its queue") {
      scene.device.drop();
      publish();
      scene.doors.closed.insert("shut/");
      CHECK(scene.reevaluate({}) == 1);
    }
    SUBCASE("waiting, over a restart") {
      scene.device.drop();
      publish();
      scene.doors.closed.insert("shut/");
      scene.world.crash();
    }
    CHECK(scene.reevaluate({}) == 0);
    scene.device.connect({.clean = false, .expiry = 3600, .serial = "s1"});
    scene.world.run();
    const std::string heard = scene.device.heard();
    CHECK(heard.find("plain") != std::string::npos);
    CHECK(heard.find("secret") == std::string::npos);
    CHECK(scene.world.records(storage::Family::subscriptions) == 1);
  }
}

TEST_CASE("a policy that still allows a subscription leaves everything as it is") {
  Scene scene(1);
  scene.fill();
  scene.doors.closed.insert("elsewhere/");
  CHECK(scene.reevaluate({}) == 0);
  CHECK(scene.device.attached());
  scene.watcher.publish("in", "x", {.qos = q1});
  scene.world.run();
  CHECK(scene.device.heard() == "PUBLISH in=x q1 #1");
}

TEST_CASE("an end of the right that was moved reaches the connection") {
  Scene scene(1);
  scene.fill();
  scene.until = scene.world.now().wall + Seconds(5);
  CHECK(scene.reevaluate() == 0);
  CHECK(scene.device.link().not_after == scene.until);
}
