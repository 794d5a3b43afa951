// A random life of many clients on several cores, in virtual time: they publish, subscribe, join
// groups, break off and come back, storage fails, the server crashes and starts with another number
// of cores. SKERRY_SEED runs one seed, SKERRY_ROUNDS that many seeds from there.
//
// The oracle: QoS 1 reaches persistent subscribers at least once, QoS 2 exactly once, in the order
// of each publisher; nothing reaches who did not ask; nothing is left in storage at the end.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "mqtt/topic.hpp"
#include "unit/shard/device.hpp"

using namespace skerry;
using namespace skerry::shard::test;

namespace {

constexpr const char* topics[] = {"a", "a/b", "a/b/c", "x/1", "x/2"};
constexpr const char* filters[] = {"a", "a/#", "+/b", "x/+", "#", "a/b/c"};
constexpr int devices_count = 6;
constexpr int turns = 250;

struct Life {
  explicit Life(std::uint64_t seed_given)
      : seed(seed_given),
        random(seed_given * 7919),
        world({.cores = static_cast<std::uint16_t>(1 + seed_given % 3), .seed = seed_given}) {
    for (int i = 0; i < devices_count; ++i) {
      devices.push_back(std::make_unique<Device>(
          world.client("d" + std::to_string(i), static_cast<std::uint16_t>(i))));
      devices.back()->connect();
    }
    settle();
    // Subscriptions stay, so that who is owed what is known.
    for (std::size_t i = 0; i < devices.size(); ++i) {
      filter_of.push_back(filters[dice(std::size(filters))]);
      qos_of.push_back(dice(2) == 0 ? q1 : q2);
      devices[i]->client.subscribe(filter_of[i], qos_of[i]);
      if (dice(3) == 0) {
        in_group.push_back(i);
        devices[i]->client.subscribe("$share/g/$grp/#", q2);
      }
    }
    settle();
  }

  std::size_t dice(std::size_t sides) { return random() % sides; }
  Device& any() { return *devices[dice(devices.size())]; }

  /// Lets a few things happen in any order.
  void stir() {
    for (std::size_t i = dice(12); i > 0; --i) {
      world.step_random();
    }
  }

  void settle() {
    for (int round = 0; round < 20; ++round) {
      world.run();
      bool all = true;
      for (auto& device : devices) {
        if (!device->client.attached()) {
          device->connect();
          all = false;
        }
      }
      world.advance(Milliseconds(1000));
      if (all) {
        return;
      }
    }
    FAIL("the clients do not come to rest");
  }

  void publish() {
    const std::size_t from = dice(devices.size());
    Device& device = *devices[from];
    if (!device.client.attached() || !device.told || device.open.size() > 50 ||
        device.client.has_queued()) {
      return;
    }
    const bool group = !in_group.empty() && dice(4) == 0;
    const std::string topic = group ? "$grp/x" : topics[dice(std::size(topics))];
    const mqtt::Qos qos = static_cast<mqtt::Qos>(dice(3));
    const std::string payload = std::to_string(from) + ":" + std::to_string(++serial);
    if (qos != q0) {
      sent.push_back({topic, payload, qos});
    }
    device.publish(topic, payload, qos);
  }

  void act() {
    Device& device = any();
    switch (dice(40)) {
      case 0:
      case 1:
        if (device.client.attached()) {
          device.client.drop();
        }
        break;
      case 2:
        if (device.client.attached()) {
          device.client.disconnect();
        }
        break;
      case 3:
        device.connect();  // takes over when it is connected
        break;
      case 4:
      case 5:
      case 6:
        if (!device.client.attached()) {
          device.connect({.clean = false,
                          .expiry = 3600,
                          .receive_maximum = static_cast<std::uint16_t>(1 + dice(20)),
                          .topic_alias_maximum = static_cast<std::uint16_t>(dice(3))});
        }
        break;
      case 7:
        if (dice(4) == 0) {
          world.store().fail_write(1 + dice(5), storage::StatusCode::full);
        }
        break;
      case 8:
        world.store().heal();
        break;
      case 9:
        if (dice(6) == 0) {
          world.crash(static_cast<std::uint16_t>(1 + dice(3)));
          ++crashes;
        }
        break;
      case 10:
        world.advance(Milliseconds(dice(300)));
        break;
      default:
        publish();
    }
  }

  void live() {
    for (int i = 0; i < turns; ++i) {
      act();
      stir();
    }
    world.store().heal();
    settle();
    settle();
  }

  struct Sent {
    std::string topic;
    std::string payload;
    mqtt::Qos qos;
  };

  bool was_refused(const std::string& payload) const {
    return std::any_of(devices.begin(), devices.end(), [&](const auto& device) {
      return std::find(device->refused.begin(), device->refused.end(), payload) !=
             device->refused.end();
    });
  }

  void judge(std::size_t index) const {
    const Device& device = *devices[index];
    CAPTURE(filter_of[index]);
    std::map<std::string, int> times;
    for (const auto& [topic, payload] : device.delivered) {
      ++times[payload];
    }
    for (const Sent& message : sent) {
      CAPTURE(message.payload);
      CAPTURE(message.topic);
      const int count = times.contains(message.payload) ? times.at(message.payload) : 0;
      if (message.topic == "$grp/x") {
        continue;
      }
      if (!mqtt::matches(filter_of[index], message.topic)) {
        CHECK(count == 0);
        continue;
      }
      const mqtt::Qos lower = std::min(message.qos, qos_of[index]);
      if (!was_refused(message.payload)) {
        CHECK(count >= 1);
      }
      if (lower == q2) {
        CHECK(count <= 1);
      }
    }
    judge_order(index);
  }

  /// First arrivals of one publisher's messages, per topic and QoS, come in the order of sending.
  void judge_order(std::size_t index) const {
    std::map<std::string, Sent> by_payload;
    for (const Sent& message : sent) {
      by_payload.emplace(message.payload, message);
    }
    std::map<std::string, int> latest;
    std::set<std::string> seen;
    for (const auto& [topic, payload] : devices[index]->delivered) {
      const auto known = by_payload.find(payload);
      if (known == by_payload.end() || topic == "$grp/x" || was_refused(payload) ||
          !seen.insert(payload).second) {
        continue;
      }
      const std::string line = payload.substr(0, payload.find(':')) + topic +
                               std::to_string(static_cast<int>(known->second.qos));
      const int number = std::stoi(payload.substr(payload.find(':') + 1));
      CAPTURE(payload);
      CHECK(number > latest[line]);
      latest[line] = std::max(latest[line], number);
    }
  }

  void judge_group() const {
    for (const Sent& message : sent) {
      if (message.topic != "$grp/x" || was_refused(message.payload)) {
        continue;
      }
      CAPTURE(message.payload);
      int count = 0;
      for (const std::size_t member : in_group) {
        for (const auto& [topic, payload] : devices[member]->delivered) {
          count += payload == message.payload ? 1 : 0;
        }
      }
      CHECK(count >= 1);
      if (message.qos == q2) {
        CHECK(count == 1);
      }
    }
  }

  void judge_all() const {
    for (std::size_t i = 0; i < devices.size(); ++i) {
      CAPTURE(i);
      CHECK(devices[i]->open.empty());
      CHECK(devices[i]->received.empty());
      judge(i);
    }
    judge_group();
    CHECK(world.leftovers() == 0);
  }

  /// All clients end their sessions: nothing may be left.
  void end() {
    for (auto& device : devices) {
      if (device->client.attached()) {
        device->client.disconnect(mqtt::Reason::success, 0);
      }
    }
    world.advance(Seconds(20));
    for (const storage::Family family :
         {storage::Family::sessions, storage::Family::subscriptions, storage::Family::messages,
          storage::Family::acks, storage::Family::inflight}) {
      CHECK(world.records(family) == 0);
    }
    for (std::uint16_t core = 0; core < world.core_count(); ++core) {
      CHECK(world.counters(core).sessions.read() == 0);
      CHECK(world.counters(core).subscriptions.read() == 0);
    }
  }

  std::uint64_t seed;
  std::mt19937_64 random;
  World world;
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<std::string> filter_of;
  std::vector<mqtt::Qos> qos_of;
  std::vector<std::size_t> in_group;
  std::vector<Sent> sent;
  int serial = 0;
  int crashes = 0;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("a random life keeps every promise") {
  const std::uint64_t first = number_from("SKERRY_SEED", 1);
  const std::uint64_t rounds =
      number_from("SKERRY_ROUNDS", std::getenv("SKERRY_SEED") == nullptr ? 40 : 1);
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    CAPTURE(seed);
    Life life(seed);
    life.live();
    life.judge_all();
    life.end();
  }
}
