// The table of presence: who is online, and which messages say so.
#include "net/presence.hpp"

#include <doctest/doctest.h>

#include <map>

#include "base/limits.hpp"

using namespace skerry;
using net::PresenceTable;

namespace {

plugin::Identity device(const std::string& id, const std::string& serial = "0a") {
  plugin::Identity identity;
  identity.kind = plugin::IdentityKind::device;
  identity.name = id;
  identity.certificate_serial = serial;
  return identity;
}

Now at(std::int64_t milliseconds) {
  return {SteadyTime{}, wall_from_epoch(milliseconds)};
}

struct Ear final : plugin::EventSink {
  bool wanted(plugin::EventType type) const noexcept override {
    return type == plugin::EventType::presence;
  }
  void publish(plugin::Event event) noexcept override { heard += event.device + event.data; }
  std::string heard;
};

struct Scene {
  explicit Scene(bool publishes = true)
      : table({.publishes = publishes,
               .events = &ear,
               .changed =
                   [this](std::string_view device, bool online, WallTime when) {
                     changes.append(device).append(online ? "+" : "-");
                     changes.append(std::to_string(epoch_milliseconds(when))).append(" ");
                   },
               .wants_publishing = [this] { ++asked; }}) {}

  /// Topic and payload of all that is to be published.
  std::string published() {
    std::string text;
    for (const plugin::BrokerMessage& message : table.take()) {
      CHECK(message.retain);
      text += message.topic + message.payload + "\n";
    }
    return text;
  }

  Ear ear;
  std::string changes;
  int asked = 0;
  PresenceTable table;
};

}  // namespace

TEST_CASE("a device that comes and goes is said to be online and offline") {
  Scene scene;
  CHECK_FALSE(scene.table.presence_of("d").has_value());
  scene.table.connected(device("d"), "192.0.2.7:1", at(5));
  scene.table.disconnected(device("d"), "normal", at(7));
  CHECK(scene.asked == 1);
  const std::string place = R"("address":"192.0.2.7:1","certificateSerial":"0a"})";
  const std::string on = R"({"online":true,"ts":5,"reason":"connected",)" + place;
  const std::string off = R"({"online":false,"ts":7,"reason":"normal",)" + place;
  CHECK(scene.published() == "devices/d/presence" + on + "\n" + "devices/d/presence" + off + "\n");
  CHECK(scene.published().empty());
  CHECK(scene.ear.heard == "d" + on + "d" + off);
  CHECK(scene.changes == "d+5 d-7 ");
  const auto presence = scene.table.presence_of("d");
  REQUIRE(presence.has_value());
  CHECK_FALSE(presence->online);
  CHECK(presence->reason == "normal");
  CHECK(presence->last_seen == wall_from_epoch(7));
  CHECK(presence->address == "192.0.2.7:1");
}

TEST_CASE("a device is online while any of its connections is") {
  Scene scene;
  scene.table.connected(device("d"), "a", at(1));
  scene.table.connected(device("d", "0b"), "b", at(2));
  scene.table.disconnected(device("d"), "session_taken_over", at(3));
  CHECK(scene.published().find("\"online\":false") == std::string::npos);
  CHECK(scene.table.presence_of("d")->online);
  CHECK(scene.table.presence_of("d")->address == "b");
  scene.table.disconnected(device("d", "0b"), "revoked", at(4));
  CHECK(scene.published().find(R"("online":false,"ts":4,"reason":"revoked")") != std::string::npos);
  scene.table.disconnected(device("d", "0b"), "revoked", at(5));  // one too many changes nothing
  CHECK(scene.published().empty());
}

TEST_CASE("after a restart those who do not come back are offline, and only they are told of") {
  Scene before;
  before.table.connected(device("back"), "192.0.2.7:1", at(1));
  before.table.connected(device("lost"), "192.0.2.8:1", at(2));
  before.table.connected(device("gone"), "192.0.2.9:1", at(3));
  before.table.disconnected(device("gone"), "keep_alive_timeout", at(4));
  Scene scene;
  std::map<std::string, std::string> retained;
  for (const plugin::BrokerMessage& message : before.table.take()) {
    retained[message.topic] = message.payload;
  }
  for (const auto& [topic, payload] : retained) {
    CHECK(scene.table.restore(topic, payload, wall_from_epoch(100)));
  }
  CHECK_FALSE(scene.table.presence_of("back")->online);
  CHECK(scene.table.presence_of("gone")->reason == "keep_alive_timeout");
  CHECK(scene.table.presence_of("gone")->last_seen == wall_from_epoch(4));
  scene.table.connected(device("back"), "192.0.2.7:2", at(101));
  scene.published();
  scene.table.end_grace(wall_from_epoch(110));
  CHECK(scene.published() ==
        "devices/lost/presence"
        R"({"online":false,"ts":100,"reason":"server_restart","address":"192.0.2.8:1",)"
        "\"certificateSerial\":null}\n");
  scene.table.end_grace(wall_from_epoch(120));
  CHECK(scene.published().empty());
}

TEST_CASE("what no server of ours wrote is not believed") {
  Scene scene;
  CHECK_FALSE(scene.table.restore("devices/presence", "{}", wall_from_epoch(1)));
  CHECK_FALSE(scene.table.restore("devices/a/b/presence", "{}", wall_from_epoch(1)));
  CHECK_FALSE(scene.table.restore("elsewhere/a/presence", "{}", wall_from_epoch(1)));
  CHECK(scene.table.size() == 0);
  for (const char* payload : {"", "{", "\"online\":", "{\"online\":true", "\"ts\":\"x\""}) {
    CHECK_FALSE(scene.table.restore("devices/d/presence", payload, wall_from_epoch(1)));
  }
  CHECK_FALSE(scene.table.presence_of("d")->online);
}

TEST_CASE("a forgotten device leaves nothing behind once its connections have ended") {
  Scene scene;
  scene.table.connected(device("d"), "a", at(1));
  scene.published();
  SUBCASE("while it is connected") {
    scene.table.forget("d");
    CHECK(scene.published().empty());
    scene.table.disconnected(device("d"), "erased", at(2));
    const std::string all = scene.published();
    CHECK(all.find("\"reason\":\"erased\"") != std::string::npos);
    CHECK(all.ends_with("devices/d/presence\n"));  // an empty retained message is none
  }
  SUBCASE("afterwards") {
    scene.table.disconnected(device("d"), "normal", at(2));
    scene.published();
    scene.table.forget("d");
    CHECK(scene.published() == "devices/d/presence\n");
  }
  CHECK(scene.table.size() == 0);
  scene.table.forget("d");
  CHECK(scene.published().empty());
}

TEST_CASE("a shutdown says so once, and what follows is not told") {
  Scene scene;
  scene.table.connected(device("d"), "a", at(1));
  scene.published();
  scene.table.shut_down(wall_from_epoch(2));
  CHECK(scene.published().find(R"("online":false,"ts":2,"reason":"server_shutdown")") !=
        std::string::npos);
  scene.table.disconnected(device("d"), "connection_lost", at(3));
  scene.table.connected(device("d"), "a", at(4));
  scene.table.end_grace(wall_from_epoch(5));
  CHECK(scene.published().empty());
}

TEST_CASE("with too much waiting a device's newer message replaces its older one") {
  Scene scene;
  for (std::size_t i = 0; i < presence_pending_max; ++i) {
    scene.table.connected(device("filler"), "a", at(1));
  }
  scene.table.connected(device("d"), "a", at(2));
  scene.table.disconnected(device("d"), "normal", at(3));
  const auto all = scene.table.take();
  REQUIRE(all.size() == presence_pending_max + 1);
  CHECK(all.back().payload.find("\"online\":false") != std::string::npos);
}

TEST_CASE("without publishing the table is kept all the same") {
  Scene scene(false);
  scene.table.connected(device("d"), "a", at(1));
  CHECK(scene.table.presence_of("d")->online);
  CHECK(scene.published().empty());
  CHECK(scene.ear.heard.size() > 10);
}
