// More connections than the process has file descriptors for, and a stop in the middle of traffic.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.hpp"

namespace skerry::net::test {

namespace {

bool connect_to(int descriptor, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

TEST_CASE("without file descriptors accepting pauses, and goes on when there are some") {
  TestServer server;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  std::vector<int> sockets;
  for (int i = 0; i < 8; ++i) {
    sockets.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(sockets.back() + 1);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  for (const int descriptor : sockets) {
    CHECK(connect_to(descriptor, server.port()));
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(server.wait_for(&Counters::connections_open, sockets.size()));
  for (const int descriptor : sockets) {
    ::close(descriptor);
  }
  CHECK(server.wait_for(&Counters::connections_open, 0));
}

TEST_CASE("a server that is stopped in the middle of traffic ends in order") {
  for (int run = 0; run < 5; ++run) {
    TestServer server;
    std::vector<std::thread> busy;
    std::atomic<int> going{0};
    for (int i = 0; i < 8; ++i) {
      busy.emplace_back([&server, &going, port = server.port(), i] {
        Client client(port);
        const std::string name = "busy-" + std::to_string(i);
        if (!client.connect(name)) {
          return;
        }
        client.send(mqtt::Packet(make_subscribe("traffic/#", mqtt::Qos::at_least_once)));
        mqtt::Publish publish = make_publish("traffic/x", "payload");
        publish.qos = mqtt::Qos::at_least_once;
        publish.retain = true;
        for (std::uint16_t id = 1; id < 60'000; ++id) {
          publish.packet_id = {id};
          if (id == 20) {
            going.fetch_add(1);
          }
          // Read as much as is written, or both sides would stand still.
          if (!client.send(mqtt::Packet(publish)) || client.receive_frame().empty()) {
            return;
          }
        }
      });
    }
    while (going.load() < 8) {
      std::this_thread::yield();
    }
    server.stop();
    for (std::thread& thread : busy) {
      thread.join();
    }
  }
}

}  // namespace skerry::net::test
