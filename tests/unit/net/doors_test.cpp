// What a new connection is judged by, in a time of our own; and over the wire.
#include "net/doors.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "net_fixture.hpp"

namespace skerry::net::test {

namespace {

constexpr SteadyTime start{std::chrono::hours(1)};

Limits limits_of(std::uint32_t address_rate, std::uint32_t burst) {
  Limits limits;
  limits.address_accepts_per_second = address_rate;
  limits.address_accepts_burst = burst;
  return limits;
}

Doors::Options options_of(std::uint32_t all, std::vector<std::uint32_t> listeners = {0}) {
  return {.connections_max = all, .listener_connections_max = std::move(listeners)};
}

/// A plain socket from 127.0.0.`host`, whose fate is looked at by read().
class Socket {
 public:
  Socket(std::uint16_t port, std::uint8_t host)
      : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(0x7F000000U | host);
    REQUIRE(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const timeval patience{10, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Socket() { ::close(descriptor_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// The server has reset the connection, at once or within ten seconds.
  bool is_reset() {
    char byte = 0;
    return ::recv(descriptor_, &byte, 1, 0) < 0 && errno == ECONNRESET;
  }
  /// CONNECT is answered with CONNACK.
  bool is_let_in(std::string_view client_id) {
    const std::string connect = wire(make_connect(client_id));
    char answer[4] = {};
    return ::send(descriptor_, connect.data(), connect.size(), MSG_NOSIGNAL) > 0 &&
           ::recv(descriptor_, answer, sizeof answer, MSG_WAITALL) == 4 && answer[0] == 0x20 &&
           answer[3] == 0;
  }

 private:
  int descriptor_;
};

std::uint64_t shed(TestServer& server, ShedReason reason) {
  std::uint64_t sum = 0;
  for (const Counters* const core : server.server().counters()) {
    sum += core->shed[static_cast<int>(reason)].read();
  }
  return sum;
}

}  // namespace

TEST_CASE("one address has its rate, and takes nothing from another") {
  Doors doors(limits_of(10, 3), options_of(100));
  std::vector<Place> places;
  for (int i = 0; i < 3; ++i) {
    auto entry = doors.enter(0, 1, start);
    CHECK(!entry.shed);
    places.push_back(std::move(entry.place));
  }
  CHECK(doors.enter(0, 1, start).shed == ShedReason::address_rate);
  CHECK(!doors.enter(0, 2, start).shed);
  CHECK(!doors.enter(0, 1, start + Milliseconds(101)).shed);
  CHECK(doors.connections_open() == 3);
  places.clear();
  CHECK(doors.connections_open() == 0);
}

TEST_CASE("places are given back when connections end, also after they were moved") {
  Limits limits;
  limits.address_connections_max = 2;
  Doors doors(limits, options_of(4, {3, 0}));
  std::vector<Place> places;
  const auto enter = [&](std::uint32_t listener, std::uint64_t address) {
    auto entry = doors.enter(listener, address, start);
    if (!entry.shed) {
      places.push_back(std::move(entry.place));
    }
    return entry.shed;
  };
  CHECK(!enter(0, 1));
  CHECK(!enter(0, 1));
  CHECK(enter(0, 1) == ShedReason::address_connections);
  CHECK(!enter(0, 2));
  CHECK(enter(0, 3) == ShedReason::listener);
  CHECK(!enter(1, 3));
  CHECK(enter(1, 4) == ShedReason::total);
  places.erase(places.begin());
  CHECK(!enter(0, 1));
}

TEST_CASE("over the rate of all nobody is accepted until it is time, and the shed do not count") {
  Limits limits = limits_of(1, 1);
  limits.accepts_per_second = 2;
  Doors doors(limits, options_of(100));
  const auto first = doors.enter(0, 1, start);
  for (int i = 0; i < 50; ++i) {
    CHECK(doors.enter(0, 1, start).shed == ShedReason::address_rate);
  }
  CHECK(doors.opens_at(start) == start);
  const auto second = doors.enter(0, 2, start);
  const SteadyTime opens = doors.opens_at(start);
  CHECK(opens > start + Milliseconds(499));
  CHECK(opens < start + Milliseconds(501));
  CHECK(doors.opens_at(opens) == opens);
}

TEST_CASE("doors are shut until they are opened, however often they were shut") {
  Doors doors(Limits{}, options_of(100));
  doors.close();
  doors.close();
  CHECK(doors.enter(0, 1, start).shed == ShedReason::closed);
  doors.open();
  CHECK(!doors.enter(0, 1, start).shed);
}

TEST_CASE("an owner may connect so often a minute, no limit is no limit") {
  Limits limits;
  Doors open(limits, options_of(1));
  limits.connects_per_minute = 2;
  Doors doors(limits, options_of(1));
  for (int i = 0; i < 2; ++i) {
    CHECK(doors.may_connect(1, start));
  }
  CHECK(!doors.may_connect(1, start));
  CHECK(doors.may_connect(2, start));
  CHECK(doors.may_connect(1, start + Milliseconds(30'001)));
  for (int i = 0; i < 1'000; ++i) {
    CHECK(open.may_connect(1, start));
  }
}

TEST_CASE("an address that comes too often is reset, another is let in") {
  Options options;
  options.limits.address_accepts_per_second = 1;
  options.limits.address_accepts_burst = 3;
  TestServer server(options);
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 3; ++i) {
    sockets.push_back(std::make_unique<Socket>(server.port(), 2));
    CHECK(sockets.back()->is_let_in("a" + std::to_string(i)));
  }
  int reset = 0;
  for (int i = 0; i < 20; ++i) {
    reset += Socket(server.port(), 2).is_reset() ? 1 : 0;
  }
  CHECK(reset >= 15);
  CHECK(shed(server, ShedReason::address_rate) == static_cast<std::uint64_t>(reset));
  CHECK(Socket(server.port(), 3).is_let_in("b"));
}

TEST_CASE("an address has so many connections, and room again when one has ended") {
  Options options;
  options.limits.address_connections_max = 1;
  TestServer server(options);
  {
    Socket first(server.port(), 2);
    CHECK(first.is_let_in("a"));
    Socket second(server.port(), 2);
    CHECK(second.is_reset());
    CHECK(shed(server, ShedReason::address_connections) == 1);
    Socket other(server.port(), 3);
    CHECK(other.is_let_in("b"));
  }
  REQUIRE(server.wait_for(&Counters::connections_open, 0));
  CHECK(Socket(server.port(), 2).is_let_in("c"));
}

TEST_CASE("closed doors reset who is new and keep who is there") {
  TestServer server;
  Client there(server.port());
  REQUIRE(there.connect("there"));
  server.server().close_doors();
  CHECK(Socket(server.port(), 2).is_reset());
  CHECK(shed(server, ShedReason::closed) == 1);
  there.send(mqtt::Packet(mqtt::Pingreq{}));
  CHECK(there.receive());
  server.server().open_doors();
  CHECK(Socket(server.port(), 2).is_let_in("new"));
}

TEST_CASE("who is silent gives way to who is new, whoever fills the lobby or takes every place") {
  for (const bool by_lobby : {true, false}) {
    CAPTURE(by_lobby);
    Options options;
    options.cores = 1;
    if (by_lobby) {
      options.limits.unattached_max = 8;
    } else {
      options.limits.connections_max = 8;
    }
    TestServer server(options);
    std::vector<std::unique_ptr<Socket>> silent;
    for (int i = 0; i < 8; ++i) {
      silent.push_back(std::make_unique<Socket>(server.port(), 2));
    }
    REQUIRE(server.wait_for(&Counters::connections_open, 8));
    Socket other(server.port(), 3);
    CHECK(other.is_let_in("other"));
    CHECK(silent[0]->is_reset());
    CHECK(shed(server, ShedReason::unattached) == 1);
  }
}

TEST_CASE("over the rate of all nobody is lost: they wait in the kernel") {
  Options options;
  options.limits.accepts_per_second = 50;
  TestServer server(options);
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 80; ++i) {
    sockets.push_back(std::make_unique<Socket>(server.port(), 2));
  }
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    CHECK(sockets[i]->is_let_in("c" + std::to_string(i)));
  }
}

TEST_CASE("an owner that connects too often hears so, and another does not") {
  Options options;
  options.limits.connects_per_minute = 2;
  TestServer server(options);
  server.authenticator.judge = [](const plugin::Credentials& credentials) -> Answer {
    plugin::Identity identity;
    identity.kind = plugin::IdentityKind::device;
    identity.policy = plugin::PolicyKind::open;
    identity.name = credentials.client_id.substr(0, 1);
    return identity;
  };
  for (const char* name : {"a1", "a2"}) {
    Client client(server.port());
    CHECK(client.connect(name)->reason == mqtt::Reason::success);
  }
  Client third(server.port());
  CHECK(third.connect("a3")->reason == mqtt::Reason::connection_rate_exceeded);
  CHECK(third.at_end());
  Client older(server.port());
  older.send(wire(make_connect("a4", mqtt::Version::v3_1_1), mqtt::Version::v3_1_1));
  CHECK(older.receive_frame() == std::string("\x20\x02\x00\x03", 4));
  Client other(server.port());
  CHECK(other.connect("b1")->reason == mqtt::Reason::success);
  CHECK(server.wait_for(&Counters::connects_rate_limited, 2));
}

TEST_CASE("the anonymous count by client identifier") {
  Options options;
  options.limits.connects_per_minute = 1;
  TestServer server(options);
  CHECK(Client(server.port()).connect("a")->reason == mqtt::Reason::success);
  CHECK(Client(server.port()).connect("b")->reason == mqtt::Reason::success);
  CHECK(Client(server.port()).connect("a")->reason == mqtt::Reason::connection_rate_exceeded);
}

}  // namespace skerry::net::test
