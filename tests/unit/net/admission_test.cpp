// How a CONNECT is judged: malformed, denied, late, without an identifier.
#include <doctest/doctest.h>

#include <stdexcept>

#include "net_fixture.hpp"

namespace skerry::net::test {

TEST_CASE("an unknown protocol level is answered in the form the client may understand") {
  // [MQTT-3.1.2-2]
  TestServer server;
  std::string future = wire(make_connect("x"));
  future[8] = 6;
  Client newer(server.port());
  newer.send(future);
  const auto answer = newer.receive();
  REQUIRE(answer);
  CHECK(std::get<mqtt::Connack>(*answer).reason == mqtt::Reason::unsupported_protocol_version);
  CHECK(newer.at_end());

  std::string past = wire(make_connect("x", mqtt::Version::v3_1_1), mqtt::Version::v3_1_1);
  past[8] = 2;
  Client older(server.port());
  older.send(past);
  CHECK(older.receive_frame() == std::string("\x20\x02\x00\x01", 4));
  CHECK(older.at_end());
}

TEST_CASE("a malformed CONNECT is named in MQTT 5 and ends 3.1.1 without an answer") {
  TestServer server;
  std::string reserved = wire(make_connect("x"));
  reserved[9] = static_cast<char>(reserved[9] | 1);
  Client client(server.port());
  client.send(reserved);
  const auto packet = client.receive();
  REQUIRE(packet);
  CHECK(std::get<mqtt::Connack>(*packet).reason == mqtt::Reason::malformed_packet);
  CHECK(client.at_end());

  std::string old = wire(make_connect("x", mqtt::Version::v3_1_1), mqtt::Version::v3_1_1);
  old[9] = static_cast<char>(old[9] | 1);
  Client older(server.port());
  older.send(old);
  CHECK(older.at_end());
}

TEST_CASE("a denial carries the reason, and in MQTT 5 a sentence") {
  TestServer server;
  server.authenticator.judge = [](const plugin::Credentials&) -> Answer {
    return mqtt::Violation{mqtt::Reason::not_authorized, "this key is not registered"};
  };
  Client client(server.port());
  const auto connack = client.connect("x");
  REQUIRE(connack);
  CHECK(connack->reason == mqtt::Reason::not_authorized);
  CHECK(connack->reason_string == "this key is not registered");
  CHECK(client.at_end());

  Client terse(server.port());
  auto wish = make_connect("x");
  wish.request_problem_information = false;
  const auto short_answer = terse.connect(wish);
  REQUIRE(short_answer);
  CHECK(!short_answer->reason_string);

  Client older(server.port());
  older.send(wire(make_connect("x", mqtt::Version::v3_1_1), mqtt::Version::v3_1_1));
  CHECK(older.receive_frame() == std::string("\x20\x02\x00\x05", 4));
  CHECK(older.at_end());
}

TEST_CASE("an exception of an authenticator means not authorized") {
  TestServer server;
  server.authenticator.judge = [](const plugin::Credentials&) -> Answer {
    throw std::runtime_error("broken");
  };
  Client client(server.port());
  const auto connack = client.connect("x");
  REQUIRE(connack);
  CHECK(connack->reason == mqtt::Reason::not_authorized);
  CHECK(server.wait_for(&Counters::plugin_exceptions, 1));
}

TEST_CASE("an answer from another thread finds the connection with what it has sent meanwhile") {
  TestServer server;
  server.authenticator.on_own_thread = true;
  for (int i = 0; i < 8; ++i) {
    Client client(server.port());
    const std::string name = "late-" + std::to_string(i);
    client.send(wire(make_connect(name)) + wire(mqtt::Pingreq{}));
    const auto connack = client.receive();
    REQUIRE(connack);
    CHECK(std::get<mqtt::Connack>(*connack).reason == mqtt::Reason::success);
    const auto pong = client.receive();
    REQUIRE(pong);
    CHECK(std::holds_alternative<mqtt::Pingresp>(*pong));
  }
}

TEST_CASE("an authenticator that does not answer in time ends as server unavailable") {
  Options options;
  options.limits.connect_timeout = Milliseconds(100);
  TestServer server(options);
  server.authenticator.silent = true;
  Client client(server.port());
  const auto connack = client.connect("x");
  REQUIRE(connack);
  CHECK(connack->reason == mqtt::Reason::server_unavailable);
}

TEST_CASE("an empty client identifier is assigned where the protocol allows") {
  // [MQTT-3.1.3-6] to [MQTT-3.1.3-8]
  TestServer server;
  Client client(server.port());
  const auto connack = client.connect("");
  REQUIRE(connack);
  CHECK(connack->reason == mqtt::Reason::success);
  REQUIRE(connack->assigned_client_identifier);
  CHECK(connack->assigned_client_identifier->size() == 22);

  Client clean(server.port());
  clean.send(wire(make_connect("", mqtt::Version::v3_1_1), mqtt::Version::v3_1_1));
  CHECK(clean.receive_frame() == std::string("\x20\x02\x00\x00", 4));

  auto kept = make_connect("", mqtt::Version::v3_1_1);
  kept.clean_start = false;
  Client refused(server.port());
  refused.send(wire(kept, mqtt::Version::v3_1_1));
  CHECK(refused.receive_frame() == std::string("\x20\x02\x00\x02", 4));
  CHECK(refused.at_end());
}

TEST_CASE("enhanced authentication is refused by name") {
  TestServer server;
  auto connect = make_connect("x");
  connect.authentication_method = "SCRAM-SHA-256";
  Client client(server.port());
  const auto connack = client.connect(connect);
  REQUIRE(connack);
  CHECK(connack->reason == mqtt::Reason::bad_authentication_method);
}

TEST_CASE("a live session ends when its credentials do") {
  TestServer server;
  server.authenticator.judge = [](const plugin::Credentials& credentials) -> Answer {
    plugin::Identity identity;
    identity.name = credentials.domain;
    identity.not_after = read_clocks().wall + Milliseconds(150);
    return identity;
  };
  for (int i = 0; i < 4; ++i) {
    Client client(server.port());
    REQUIRE(client.connect("short-" + std::to_string(i)));
    const auto packet = client.receive();
    REQUIRE(packet);
    CHECK(std::get<mqtt::Disconnect>(*packet).reason == mqtt::Reason::not_authorized);
    CHECK(client.at_end());
  }
}

TEST_CASE("mutual TLS: the authenticator sees the chain, and nobody gets in without one") {
  const KeyPair authority = make_pair("test authority");
  const KeyPair server_pair = make_pair("localhost", &authority);
  const KeyPair device = make_pair("device", &authority);
  transport::TlsOptions tls;
  tls.certificate_chain_pem = server_pair.certificate.pem();
  tls.private_key_pem = server_pair.key.pem();
  tls.client_ca_pem = authority.certificate.pem();
  tls.client_certificate = transport::ClientCertificate::required;
  const auto context = transport::TlsContext::make_server(tls);
  Options options;
  options.tls = [context] { return context; };
  TestServer server(options);
  std::atomic<bool> chain_seen{true};
  server.authenticator.judge = [&](const plugin::Credentials& credentials) -> Answer {
    if (credentials.certificate_chain.empty() ||
        credentials.certificate_chain[0] != device.certificate.der()) {
      chain_seen = false;
    }
    plugin::Identity identity;
    identity.kind = plugin::IdentityKind::device;
    identity.policy = plugin::PolicyKind::open;
    identity.name = "device";
    return identity;
  };
  const std::string payload(200'000, 'x');
  for (int i = 0; i < 8; ++i) {
    Client client(server.port(), true, &device);
    REQUIRE(client.connected());
    const std::string name = "tls-" + std::to_string(i);
    client.send(wire(make_connect(name)) + wire(make_subscribe(name)) +
                wire(make_publish(name, payload)));
    const auto connack = client.receive();
    REQUIRE(connack);
    CHECK(std::get<mqtt::Connack>(*connack).reason == mqtt::Reason::success);
    CHECK(hears_suback_and(client, payload));
  }
  CHECK(chain_seen);
  Client stranger(server.port(), true);
  stranger.send(wire(make_connect("x")));
  CHECK(stranger.at_end());
}

}  // namespace skerry::net::test
