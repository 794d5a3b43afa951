// A server and plain sockets: what clients see from accept to close.
#include "net/server.hpp"

#include <doctest/doctest.h>

#include <future>
#include <stdexcept>

#include "net_fixture.hpp"

namespace skerry::net::test {

namespace {

std::string name_of(int number) {
  return "client-" + std::to_string(number);
}

template <typename Packet>
std::optional<Packet> expect(Client& client) {
  const auto packet = client.receive();
  if (!packet || !std::holds_alternative<Packet>(*packet)) {
    return std::nullopt;
  }
  return std::get<Packet>(*packet);
}

}  // namespace

TEST_CASE("clients of any identifier connect, on whichever core they live") {
  TestServer server;
  for (int i = 0; i < 32; ++i) {
    Client client(server.port());
    const auto connack = client.connect(name_of(i));
    REQUIRE(connack);
    CHECK(connack->reason == mqtt::Reason::success);
    client.send(mqtt::Packet(mqtt::Pingreq{}));
    CHECK(expect<mqtt::Pingresp>(client));
  }
  CHECK(server.wait_for(&Counters::connections_open, 0));
}

TEST_CASE("a first packet other than CONNECT ends the connection without an answer") {
  // [MQTT-3.1.0-1]
  TestServer server;
  Client client(server.port());
  client.send(wire(mqtt::Pingreq{}));
  CHECK(client.at_end());
  Client web(server.port());
  web.send("GET / HTTP/1.1\r\n\r\n");
  CHECK(web.at_end());
  CHECK(server.wait_for(&Counters::connections_refused, 2));
}

TEST_CASE("a CONNECT above the cap ends the connection as soon as its length is known") {
  TestServer server;
  Client client(server.port());
  client.send(std::string("\x10\xff\xff\xff\x7f", 5));
  CHECK(client.at_end());
}

TEST_CASE("a client that does not send CONNECT in time is cut") {
  Options options;
  options.limits.connect_timeout = Milliseconds(100);
  TestServer server(options);
  Client silent(server.port());
  Client half(server.port());
  half.send(wire(make_connect("slow")).substr(0, 9));
  CHECK(silent.at_end());
  CHECK(half.at_end());
  CHECK(server.wait_for(&Counters::connections_open, 0));
}

TEST_CASE("what is pipelined behind CONNECT survives the move to the home core") {
  TestServer server;
  for (int i = 0; i < 16; ++i) {
    const std::string topic = "t/" + std::to_string(i);
    const std::string all = wire(make_connect(name_of(i))) + wire(make_subscribe(topic)) +
                            wire(make_publish(topic, "hello"));
    for (const bool piecemeal : {false, true}) {
      Client client(server.port());
      if (piecemeal) {
        for (const char byte : all) {
          REQUIRE(client.send(std::string_view(&byte, 1)));
        }
      } else {
        REQUIRE(client.send(all));
      }
      CHECK(expect<mqtt::Connack>(client));
      CHECK(hears_suback_and(client, "hello"));
    }
  }
}

TEST_CASE("two hundred clients on two cores hear every message once") {
  TestServer server;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    REQUIRE(clients.back()->connect(name_of(i)));
    clients.back()->send(mqtt::Packet(make_subscribe("news/#")));
    REQUIRE(expect<mqtt::Suback>(*clients.back()));
  }
  for (int i = 0; i < 10; ++i) {
    clients[0]->send(mqtt::Packet(make_publish("news/" + std::to_string(i), "x")));
  }
  for (const auto& client : clients) {
    for (int i = 0; i < 10; ++i) {
      const auto publish = expect<mqtt::Publish>(*client);
      REQUIRE(publish);
      CHECK(publish->topic == "news/" + std::to_string(i));
    }
  }
}

TEST_CASE("clients that hang up during the move leave nothing behind") {
  TestServer server;
  for (int i = 0; i < 200; ++i) {
    Client client(server.port());
    client.send(wire(make_connect(name_of(i))));
  }
  CHECK(server.wait_for(&Counters::connections_accepted, 200));
  CHECK(server.wait_for(&Counters::connections_open, 0));
  CHECK(server.wait_for(&Counters::sessions, 0));
}

TEST_CASE("a payload of a megabyte passes from core to core") {
  TestServer server;
  const std::string payload(1'000'000, 'p');
  for (int i = 0; i < 4; ++i) {
    Client subscriber(server.port());
    REQUIRE(subscriber.connect(name_of(i)));
    subscriber.send(mqtt::Packet(make_subscribe("big")));
    REQUIRE(expect<mqtt::Suback>(subscriber));
    Client publisher(server.port());
    REQUIRE(publisher.connect("publisher"));
    REQUIRE(publisher.send(mqtt::Packet(make_publish("big", payload))));
    const auto publish = expect<mqtt::Publish>(subscriber);
    REQUIRE(publish);
    CHECK(as_text(publish->payload) == payload);
  }
}

TEST_CASE("connections above the cap are closed at once") {
  Options options;
  options.limits.connections_max = 2;
  TestServer server(options);
  Client first(server.port());
  REQUIRE(first.connect("first"));
  Client second(server.port());
  REQUIRE(second.connect("second"));
  Client third(server.port());
  CHECK(!third.connect("third"));
}

TEST_CASE("a second server on the same port is refused with a sentence") {
  TestServer server;
  const auto store = storage::MemoryStore::create();
  storage::Committer committer(*store, {});
  OpenAuthorizer authorizer;
  ServerOptions options;
  options.authorizer = &authorizer;
  options.committer = &committer;
  storage::ReaderPool readers(1);
  options.store = store.get();
  options.readers = &readers;
  Listener listener;
  listener.name = "devices";
  listener.bind = "127.0.0.1:" + std::to_string(server.port());
  options.listeners.push_back(listener);
  const std::string expected =
      "listener devices: cannot listen on " + listener.bind + ": address already in use";
  CHECK_THROWS_WITH_AS(Server{std::move(options)}, expected.c_str(), std::runtime_error);
}

TEST_CASE("stopping tells connected clients and closes the port") {
  TestServer server;
  auto client = std::make_unique<Client>(server.port());
  REQUIRE(client->connect("last"));
  std::thread stopping([&server] { server.stop(); });
  {
    const auto disconnect = expect<mqtt::Disconnect>(*client);
    REQUIRE(disconnect);
    CHECK(disconnect->reason == mqtt::Reason::server_shutting_down);
    CHECK(client->at_end());
    client.reset();
  }
  stopping.join();
}

TEST_CASE("the admin side lists clients of all cores in order and ends those of an owner") {
  TestServer server;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    REQUIRE(clients.back()->connect(name_of(10 + i)));
  }
  std::promise<std::vector<plugin::ClientInfo>> listed;
  plugin::AdminView::ClientQuery query;
  query.limit = 15;
  server.server().list_clients(
      query, [&listed](std::vector<plugin::ClientInfo> list) { listed.set_value(list); });
  const auto list = listed.get_future().get();
  REQUIRE(list.size() == 15);
  for (int i = 0; i < 15; ++i) {
    CHECK(list[static_cast<std::size_t>(i)].client_id == name_of(10 + i));
    CHECK(list[static_cast<std::size_t>(i)].owner == "domain:test");
  }
  std::promise<std::uint64_t> ended;
  server.server().disconnect_owner("domain:test", mqtt::Reason::not_authorized,
                                   [&ended](std::uint64_t closed) { ended.set_value(closed); });
  CHECK(ended.get_future().get() == 20);
  for (const auto& client : clients) {
    const auto disconnect = expect<mqtt::Disconnect>(*client);
    REQUIRE(disconnect);
    CHECK(disconnect->reason == mqtt::Reason::not_authorized);
  }
  CHECK(server.server().loops_alive(10));
}

}  // namespace skerry::net::test
