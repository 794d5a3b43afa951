// Messages by the broker itself, carried to the cores of a real server, and what becomes of them
// before, while and after it runs.
#include <doctest/doctest.h>

#include <future>
#include <set>

#include "unit/net/net_fixture.hpp"

using namespace skerry;
using namespace skerry::net::test;

namespace {

storage::StatusCode publish(net::Server& server, plugin::BrokerMessage message) {
  std::promise<storage::StatusCode> answer;
  server.publish(std::move(message),
                 [&answer](const storage::Status& status) { answer.set_value(status.code); });
  return answer.get_future().get();
}

}  // namespace

TEST_CASE("messages by the broker reach clients of every core and are retained") {
  TestServer server;
  Client first(server.port());
  Client second(server.port());
  REQUIRE(first.connect("first"));
  REQUIRE(second.connect("second"));
  for (Client* client : {&first, &second}) {
    client->send(make_subscribe("broker/#", mqtt::Qos::at_least_once));
    REQUIRE(client->receive());
  }
  for (int i = 0; i < 20; ++i) {
    const std::string topic = "broker/" + std::to_string(i);
    CHECK(publish(server.server(), {.topic = topic, .payload = "x", .retain = true}) ==
          storage::StatusCode::ok);
  }
  for (Client* client : {&first, &second}) {
    std::set<std::string> topics;
    for (int i = 0; i < 20; ++i) {
      const auto packet = client->receive();
      REQUIRE(packet);
      topics.emplace(std::get<mqtt::Publish>(*packet).topic);
    }
    CHECK(topics.size() == 20);
  }
  CHECK(server.wait_for(&Counters::retained_messages, 20));
}

TEST_CASE("what cannot be published is said to be so") {
  TestServer server;
  CHECK(publish(server.server(), {.topic = "a/+"}) == storage::StatusCode::unsupported);
  CHECK(publish(server.server(), {.topic = ""}) == storage::StatusCode::unsupported);
  CHECK(publish(server.server(), {.topic = "a", .payload = std::string(3 << 20, 'x')}) ==
        storage::StatusCode::unsupported);
  CHECK(publish(server.server(), {.topic = "a", .content_type = std::string(70'000, 'x')}) ==
        storage::StatusCode::unsupported);
  server.server().stop();
  CHECK(publish(server.server(), {.topic = "a"}) == storage::StatusCode::closed);
}

TEST_CASE("a message that the server's end overtakes is answered all the same") {
  std::vector<std::future<storage::StatusCode>> answers;
  {
    TestServer server;
    for (int i = 0; i < 200; ++i) {
      auto answer = std::make_shared<std::promise<storage::StatusCode>>();
      answers.push_back(answer->get_future());
      server.server().publish(
          {.topic = "t/" + std::to_string(i), .payload = "x", .retain = true},
          [answer](const storage::Status& status) { answer->set_value(status.code); });
    }
    server.stop();
  }
  for (auto& answer : answers) {
    const storage::StatusCode code = answer.get();
    CHECK((code == storage::StatusCode::ok || code == storage::StatusCode::closed ||
           code == storage::StatusCode::full));
  }
}

TEST_CASE("a device that comes and goes is retained as presence, and an operator ends one client") {
  TestServer server;
  server.authenticator.judge = [](const plugin::Credentials& credentials) -> Answer {
    plugin::Identity identity;
    if (credentials.client_id.starts_with("d")) {
      identity.kind = plugin::IdentityKind::device;
      identity.certificate_serial = "0a";
    }
    identity.policy = plugin::PolicyKind::open;
    identity.name = credentials.client_id;
    return identity;
  };
  Client watcher(server.port());
  REQUIRE(watcher.connect("watcher"));
  watcher.send(make_subscribe("devices/+/presence"));
  REQUIRE(watcher.receive());
  const auto heard = [&watcher] {
    const auto packet = watcher.receive();
    REQUIRE(packet);
    return std::string(as_text(std::get<mqtt::Publish>(*packet).payload));
  };
  Client device(server.port());
  REQUIRE(device.connect("d1"));
  CHECK(heard().starts_with(R"({"online":true,)"));
  CHECK(server.server().presence_of("d1")->online);
  using Outcome = plugin::AdminView::ClientOutcome;
  const auto end = [&server](const char* client_id) {
    std::promise<Outcome> answer;
    server.server().disconnect_client("device:d1", client_id,
                                      [&answer](Outcome outcome) { answer.set_value(outcome); });
    return answer.get_future().get();
  };
  CHECK(end("d2") == Outcome::not_found);
  CHECK(end("d1") == Outcome::done);
  CHECK(heard().find("administrative_action") != std::string::npos);
  CHECK_FALSE(server.server().presence_of("d1")->online);
  CHECK_FALSE(server.server().presence_of("watcher").has_value());
}
