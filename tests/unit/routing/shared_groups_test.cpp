// Shared groups: fairness, members that come and go, and the queue while all are offline.
#include "routing/shared_groups.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <string>

using namespace skerry;
using namespace skerry::routing;
using namespace std::chrono_literals;

namespace {

constexpr WallTime start = WallTime{1'700'000'000'000ms};
using Groups = SharedGroups<std::shared_ptr<int>>;

Groups make_groups(std::size_t messages_max = 100, std::size_t bytes_max = 1'000'000) {
  return Groups(HashKey{{1, 2}}, GroupCaps{messages_max, bytes_max});
}

GroupMember member(std::uint64_t session, std::uint64_t durable = 0, bool connected = true) {
  GroupMember made;
  made.session = session;
  made.durable = DurableId{durable};
  made.connected = connected;
  return made;
}

Groups::Waiting waiting(std::string_view payload, std::shared_ptr<int> stored = nullptr,
                        std::optional<std::uint32_t> expiry = std::nullopt) {
  mqtt::Publish publish;
  publish.topic = "t";
  publish.payload = as_bytes(payload);
  publish.properties.message_expiry_interval = expiry;
  return {mqtt::MessagePtr(mqtt::make_block(publish, start)), std::move(stored),
          mqtt::Qos::at_least_once};
}

std::map<std::uint64_t, int> picks(Groups::Group& group, int count) {
  std::map<std::uint64_t, int> times;
  for (int i = 0; i < count; ++i) {
    const GroupMember* picked = group.pick();
    REQUIRE(picked != nullptr);
    ++times[picked->session];
  }
  return times;
}

std::string payloads(const std::vector<Groups::Waiting>& entries) {
  std::string text;
  for (const Groups::Waiting& entry : entries) {
    text += as_text(entry.message->payload());
  }
  return text;
}

}  // namespace

TEST_CASE("every connected member gets the same share") {
  Groups groups = make_groups();
  for (std::uint64_t session = 1; session <= 5; ++session) {
    groups.put_member("k", member(session));
  }
  groups.put_member("k", member(6, 60, false));
  for (const auto& [session, times] : picks(*groups.find("k"), 100)) {
    CHECK(session != 6);
    CHECK(times == 20);
  }
}

TEST_CASE("a member that gave a message back is not picked again for it") {
  Groups groups = make_groups();
  groups.put_member("k", member(1));
  CHECK(groups.find("k")->pick(1) == nullptr);
  groups.put_member("k", member(2));
  for (int i = 0; i < 10; ++i) {
    CHECK(groups.find("k")->pick(1)->session == 2);
    CHECK(groups.find("k")->pick(2)->session == 1);
  }
  CHECK(groups.find("k")->pick(99) != nullptr);
}

TEST_CASE("an update keeps the member and changes what is known of it") {
  Groups groups = make_groups();
  groups.put_member("k", member(1));
  GroupMember changed = member(1);
  changed.core = CoreIndex{3};
  changed.options.maximum_qos = mqtt::Qos::exactly_once;
  changed.subscription_identifier = 42;
  Groups::Group& group = groups.put_member("k", changed);
  CHECK(group.members().size() == 1);
  CHECK(group.pick()->core == CoreIndex{3});
  CHECK(group.pick()->options.maximum_qos == mqtt::Qos::exactly_once);
  CHECK(group.pick()->subscription_identifier == 42);
}

TEST_CASE("a persistent session is the same member under a new session number") {
  Groups groups = make_groups();
  groups.put_member("k", member(1, 10));
  groups.put_member("k", member(1, 10, false));
  Groups::Group& group = *groups.find("k");
  CHECK(group.pick() == nullptr);
  CHECK(group.any_durable());
  groups.put_member("k", member(7, 10));
  CHECK(group.members().size() == 1);
  CHECK(group.pick()->session == 7);
  CHECK(group.members().find(0, DurableId{10})->session == 7);
  CHECK(group.members().find(7, DurableId{}) == nullptr);
  CHECK(groups.remove_member("k", 0, DurableId{10}).group_ended);
}

TEST_CASE("a session number and a durable id of the same value are two members") {
  Groups groups = make_groups();
  groups.put_member("k", member(5));
  groups.put_member("k", member(6, 5));
  CHECK(groups.find("k")->members().size() == 2);
  CHECK(groups.remove_member("k", 5, DurableId{}).was_member);
  CHECK(groups.find("k")->pick()->session == 6);
}

TEST_CASE("only durable members make a group worth waiting for") {
  Groups groups = make_groups();
  groups.put_member("k", member(1));
  CHECK_FALSE(groups.find("k")->any_durable());
  groups.put_member("k", member(2, 20));
  CHECK(groups.find("k")->any_durable());
  groups.remove_member("k", 2, DurableId{20});
  CHECK_FALSE(groups.find("k")->any_durable());
}

TEST_CASE("the same group name with two filters is two groups") {
  CHECK(Groups::key("g", "a/b") == std::string("g\0a/b", 5));
  Groups groups = make_groups();
  groups.put_member(Groups::key("g", "a"), member(1));
  groups.put_member(Groups::key("g", "b"), member(2));
  CHECK(groups.size() == 2);
  CHECK(groups.find(Groups::key("g", "a"))->pick()->session == 1);
  CHECK(groups.find("g") == nullptr);
  int visited = 0;
  groups.for_each([&](std::string_view, Groups::Group&) { ++visited; });
  CHECK(visited == 2);
}

TEST_CASE("removing a stranger changes nothing") {
  Groups groups = make_groups();
  CHECK_FALSE(groups.remove_member("k", 1, DurableId{}).was_member);
  groups.put_member("k", member(1));
  const auto left = groups.remove_member("k", 2, DurableId{});
  CHECK_FALSE(left.was_member);
  CHECK_FALSE(left.group_ended);
  CHECK(groups.size() == 1);
}

TEST_CASE("messages wait in order, and one that came back goes first") {
  Groups groups = make_groups();
  Groups::Group& group = groups.put_member("k", member(1, 10, false));
  CHECK(group.wait(waiting("b")));
  CHECK(group.wait(waiting("c")));
  CHECK(group.wait(waiting("d")));
  group.wait_in_front(waiting("a"));
  CHECK(group.waiting_count() == 4);
  CHECK(payloads(group.take(2, start)) == "ab");
  CHECK(payloads(group.take(10, start)) == "cd");
  CHECK(group.take(10, start).empty());
  CHECK(group.waiting_bytes() == 0);
}

TEST_CASE("the queue of a group refuses what is over its caps") {
  Groups by_count = make_groups(2);
  Groups::Group& group = by_count.put_member("k", member(1, 10, false));
  CHECK(group.wait(waiting("a")));
  CHECK(group.wait(waiting("b")));
  CHECK_FALSE(group.wait(waiting("c")));
  group.wait_in_front(waiting("z"));  // was accepted before
  CHECK(payloads(group.take(10, start)) == "zab");

  Groups by_bytes = make_groups(100, 1000);
  Groups::Group& small = by_bytes.put_member("k", member(1, 10, false));
  const std::string payload(400, 'x');
  CHECK(small.wait(waiting(payload)));
  CHECK(small.wait(waiting(payload)));
  CHECK_FALSE(small.wait(waiting(payload)));
  CHECK(small.waiting_bytes() <= 1000);
  small.take(1, start);
  CHECK(small.wait(waiting(payload)));
}

TEST_CASE("what has expired while it waited is dropped and its stored copy let go") {
  Groups groups = make_groups();
  Groups::Group& group = groups.put_member("k", member(1, 10, false));
  const auto stored = std::make_shared<int>(1);
  CHECK(group.wait(waiting("a", stored, 10)));
  CHECK(group.wait(waiting("b", stored)));
  CHECK(stored.use_count() == 3);
  const auto taken = group.take(10, start + 10s);
  CHECK(payloads(taken) == "b");
  CHECK(taken[0].stored == stored);
  CHECK(stored.use_count() == 2);
  CHECK(group.expired_count() == 1);
  CHECK(group.waiting_bytes() == 0);
}

TEST_CASE("the queue ends when nobody is left who could come back for it") {
  Groups groups = make_groups();
  Groups::Group& group = groups.put_member("k", member(1, 10, false));
  groups.put_member("k", member(2, 20, false));
  const auto stored = std::make_shared<int>(1);
  CHECK(group.wait(waiting("a", stored)));
  CHECK(groups.remove_member("k", 1, DurableId{10}).dropped.empty());
  {
    const auto left = groups.remove_member("k", 2, DurableId{20});
    CHECK(left.group_ended);
    REQUIRE(left.dropped.size() == 1);
    CHECK(left.dropped[0].stored == stored);
  }
  CHECK(stored.use_count() == 1);
  CHECK(groups.size() == 0);
  CHECK(groups.find("k") == nullptr);
}

TEST_CASE("members that come, go and change at random are counted right and picked fairly") {
  std::mt19937 random(5);
  Groups groups = make_groups();
  std::map<std::uint64_t, GroupMember> expected;  // by session; durable = session + 1000 for even
  for (int step = 0; step < 5000; ++step) {
    const std::uint64_t session = random() % 30 + 1;
    const std::uint64_t durable = session % 2 == 0 ? session + 1000 : 0;
    if (random() % 3 == 0) {
      CHECK(groups.remove_member("k", session, DurableId{durable}).was_member ==
            (expected.erase(session) == 1));
    } else {
      expected[session] = member(session, durable, random() % 2 == 0);
      groups.put_member("k", expected[session]);
    }
    Groups::Group* group = groups.find("k");
    REQUIRE((group == nullptr) == expected.empty());
    if (group == nullptr) {
      continue;
    }
    std::size_t connected = 0;
    bool any_durable = false;
    for (const auto& [number, each] : expected) {
      connected += each.connected ? 1 : 0;
      any_durable = any_durable || each.durable.value != 0;
    }
    CHECK(group->members().size() == expected.size());
    CHECK(group->members().connected_count() == connected);
    CHECK(group->any_durable() == any_durable);
    if (connected == 0) {
      CHECK(group->pick() == nullptr);
      continue;
    }
    const auto times = picks(*group, static_cast<int>(connected) * 2);
    CHECK(times.size() == connected);
    for (const auto& [number, count] : times) {
      CHECK(count == 2);
      CHECK(expected.at(number).connected);
    }
  }
}
