// Connections when memory is short: who is let in, how much of a packet is kept, who is ended.
#include <doctest/doctest.h>

#include "net_fixture.hpp"

namespace skerry::net::test {

namespace {

constexpr std::size_t limit = 1000 * 1024 * 1024;

}  // namespace

TEST_CASE("when memory is short a new client hears Server busy and is let in afterwards") {
  MemoryBudget memory(limit);
  TestServer server({.memory = &memory});
  memory.set_used(limit / 10 * 9);
  Client five(server.port());
  const auto busy = five.connect("five");
  REQUIRE(busy);
  CHECK(busy->reason == mqtt::Reason::server_busy);
  CHECK(five.at_end());
  Client three(server.port());
  const auto unavailable = three.connect(make_connect("three", mqtt::Version::v3_1_1));
  REQUIRE(unavailable);
  CHECK(unavailable->reason == mqtt::Reason::server_unavailable);
  memory.set_used(0);
  Client again(server.port());
  const auto taken = again.connect("five");
  REQUIRE(taken);
  CHECK(taken->reason == mqtt::Reason::success);
}

TEST_CASE("when memory is full a large packet is not kept until it is complete") {
  MemoryBudget memory(limit);
  TestServer server({.memory = &memory});
  Client client(server.port());
  REQUIRE(client.connect("large"));
  const std::string packet = wire(mqtt::Packet(make_publish("t", std::string(1 << 20, 'x'))));
  CHECK(client.send(std::string_view(packet).substr(0, 600'000)));
  CHECK(server.wait_for(&Counters::input_bytes, 600'000));
  CHECK(client.send(std::string_view(packet).substr(600'000)));
  CHECK(server.wait_for(&Counters::input_bytes, 0));
  memory.set_used(limit);
  client.send(std::string_view(packet).substr(0, 300'000));
  const auto last = client.receive();
  REQUIRE(last);
  REQUIRE(std::holds_alternative<mqtt::Disconnect>(*last));
  CHECK(std::get<mqtt::Disconnect>(*last).reason == mqtt::Reason::quota_exceeded);
  CHECK(server.wait_for(&Counters::connections_open, 0));
  CHECK(server.wait_for(&Counters::input_bytes, 0));
}

TEST_CASE("a client that takes nothing is ended when memory is short, and what it held is free") {
  MemoryBudget memory(limit);
  TestServer server({.memory = &memory});
  Client slow(server.port());
  REQUIRE(slow.connect("slow"));
  slow.send(mqtt::Packet(make_subscribe("t")));
  REQUIRE(slow.receive());
  Client publisher(server.port());
  REQUIRE(publisher.connect("publisher"));
  const std::string payload(100'000, 'x');
  for (int i = 0; i < 200; ++i) {
    REQUIRE(publisher.send(mqtt::Packet(make_publish("t", payload))));
  }
  publisher.send(mqtt::Packet(mqtt::Pingreq{}));
  REQUIRE(publisher.receive());
  const auto held = [&](CoreIndex) {
    std::uint64_t bytes = 0;
    for (const Counters* const core : server.server().counters()) {
      bytes += core->output_bytes.read();
    }
    return bytes;
  };
  CHECK(held(CoreIndex{0}) > 64 * 1024);
  memory.set_used(limit / 10 * 9);
  CHECK(server.wait_for(&Counters::slow_consumers, 1));
  CHECK(server.wait_for(&Counters::connections_open, 1));
  memory.set_used(0);
  publisher.send(mqtt::Packet(mqtt::Pingreq{}));
  CHECK(publisher.receive());
  CHECK(held(CoreIndex{0}) <= 4096);  // a kilobyte is kept for the next packet
}

TEST_CASE("what a listener's connections hold stays under its cap, and the cap is theirs again") {
  constexpr std::size_t cap = 8 * 1024 * 1024;
  const auto budget = std::make_shared<OutputBudget>(cap);
  TestServer server({.cores = 1, .output = budget});
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(std::make_unique<Client>(server.port()));
    REQUIRE(slow.back()->connect("slow" + std::to_string(i)));
    slow.back()->send(mqtt::Packet(make_subscribe("t")));
    REQUIRE(slow.back()->receive());
  }
  Client publisher(server.port());
  REQUIRE(publisher.connect("publisher"));
  const std::string payload(20'000, 'x');
  for (int i = 0; i < 400; ++i) {
    REQUIRE(publisher.send(mqtt::Packet(make_publish("t", payload))));
  }
  publisher.send(mqtt::Packet(mqtt::Pingreq{}));
  REQUIRE(publisher.receive());
  CHECK(server.server().counters()[0]->dropped[static_cast<int>(DropReason::listener_full)].read() >
        0);
  CHECK(server.server().counters()[0]->dropped[static_cast<int>(DropReason::output_full)].read() ==
        0);
  CHECK(budget->used_bytes() > cap / 2);
  CHECK(budget->used_bytes() <= cap);
  slow.clear();
  CHECK(server.wait_for(&Counters::connections_open, 1));
  CHECK(budget->used_bytes() <= 4096);
}

}  // namespace skerry::net::test
