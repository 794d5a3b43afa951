// The live stream: who gets what, what is lost and said to be lost, and how a stream ends.
#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <exception>
#include <thread>

#include "admin-api/event_endpoints.hpp"
#include "admin-api/event_hub.hpp"

namespace skerry::admin_api {
namespace {

using plugin::EventType;

plugin::Event event(EventType type, std::string device, std::string data = "{}") {
  return {type, std::move(device), std::move(data), wall_from_epoch(1'700'000'000'000)};
}

EventInterest interest(std::uint32_t types = all_event_types, std::string device = {}) {
  EventInterest out;
  out.types = types;
  out.device = std::move(device);
  return out;
}

std::string taken(EventHub::Listener& listener) {
  std::string out;
  while (listener.take(out)) {
  }
  return out;
}

/// The fields `name` of a stream's text, by blanks.
std::string fields(const std::string& text, const std::string& name) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (line.starts_with(name + ": ")) {
      out += (out.empty() ? "" : " ") + line.substr(name.size() + 2);
    }
    at = end + 1;
  }
  return out;
}

struct Hub {
  boost::asio::io_context io;
  EventHub hub{io, {4, 4096, 3, std::chrono::milliseconds{50}}};

  void run_pending() {
    io.restart();
    io.poll();
  }
};

TEST_CASE("nothing is wanted and nothing kept while nobody listens") {
  Hub world;
  CHECK_FALSE(world.hub.wanted(EventType::telemetry));
  world.hub.publish(event(EventType::telemetry, "d1"));
  const auto listener = world.hub.listen(interest(), "");
  REQUIRE(listener);
  CHECK(world.hub.wanted(EventType::telemetry));
  CHECK(taken(*listener).empty());
}

TEST_CASE("an event is id, type and one line of data") {
  Hub world;
  const auto listener = world.hub.listen(interest(), "");
  world.hub.publish(event(EventType::presence, "d1", "{\"online\":\ntrue}"));
  const std::string text = taken(*listener);
  CHECK(fields(text, "event") == "presence");
  CHECK(fields(text, "data") ==
        R"({"device":"d1","time":"2023-11-14T22:13:20.000Z","data":{"online": true}})");
  CHECK(text.ends_with("}\n\n"));
  CHECK(taken(*listener).empty());
}

TEST_CASE("a listener gets the types and the device it asked for") {
  Hub world;
  const auto one = world.hub.listen(interest(bit_of(EventType::telemetry), "d1"), "");
  CHECK(world.hub.wanted_of(EventType::telemetry, "d1"));
  CHECK_FALSE(world.hub.wanted_of(EventType::telemetry, "d2"));
  CHECK_FALSE(world.hub.wanted_of(EventType::presence, "d1"));
  const auto all = world.hub.listen(interest(bit_of(EventType::presence)), "");
  CHECK(world.hub.wanted_of(EventType::presence, "d2"));
  EventInterest filtered = interest();
  filtered.fits = [](const plugin::Event& each) { return each.device == "d3"; };
  const auto chosen = world.hub.listen(std::move(filtered), "");
  for (const char* device : {"d1", "d2", "d3"}) {
    world.hub.publish(event(EventType::telemetry, device));
  }
  world.hub.publish(event(EventType::presence, "d1"));
  CHECK(fields(taken(*one), "event") == "telemetry");
  CHECK(fields(taken(*all), "event") == "presence");
  CHECK(fields(taken(*chosen), "data").find("d3") != std::string::npos);
}

TEST_CASE("who is too slow is told how many are lost") {
  Hub world;
  const auto listener = world.hub.listen(interest(), "");
  for (int i = 0; i < 7; ++i) {
    world.hub.publish(event(EventType::device, "d" + std::to_string(i)));
  }
  const std::string text = taken(*listener);
  CHECK(fields(text, "event") == "gap device device device device");
  CHECK(fields(text, "data").starts_with(R"({"lost":3} {"device":"d3")"));
  CHECK(world.hub.lost_count() == 3);
  world.hub.publish(event(EventType::device, "x", std::string(5000, ' ')));
  world.hub.publish(event(EventType::device, "y", std::string(5000, ' ')));
  CHECK(fields(taken(*listener), "event") == "gap device");
}

TEST_CASE("a listener that comes back goes on behind what it saw") {
  Hub world;
  auto listener = world.hub.listen(interest(), "");
  world.hub.publish(event(EventType::device, "d1"));
  const std::string id = fields(taken(*listener), "id");
  listener.reset();
  CHECK(world.hub.wanted(EventType::device));
  world.hub.publish(event(EventType::device, "d2"));
  SUBCASE("nothing is lost within the linger") {
    listener = world.hub.listen(interest(), id);
    const std::string text = taken(*listener);
    CHECK(fields(text, "event") == "device");
    CHECK(text.find("d2") != std::string::npos);
  }
  SUBCASE("after it nobody knows what was lost") {
    std::this_thread::sleep_for(std::chrono::milliseconds{60});
    world.run_pending();
    CHECK_FALSE(world.hub.wanted(EventType::device));
    listener = world.hub.listen(interest(), id);
    CHECK(fields(taken(*listener), "data") == R"({"lost":null})");
  }
  SUBCASE("another interest was never noted") {
    const auto narrow = world.hub.listen(interest(bit_of(EventType::device), "d1"), id);
    CHECK(taken(*narrow).empty());
    listener.reset();
    std::this_thread::sleep_for(std::chrono::milliseconds{60});
    world.run_pending();
    const auto wide = world.hub.listen(interest(), id);
    CHECK(fields(taken(*wide), "data") == R"({"lost":null})");
  }
  SUBCASE("an id of another run, of the future, or of nobody is a gap") {
    for (const std::string& wrong :
         {std::string("other-1"), std::string("-"), id + "0", id + "x", std::string("x")}) {
      CAPTURE(wrong);
      const auto resumed = world.hub.listen(interest(), wrong);
      CHECK(fields(taken(*resumed), "event").starts_with("gap"));
    }
  }
}

TEST_CASE("listeners are capped and a closed hub takes none") {
  Hub world;
  std::vector<std::unique_ptr<EventHub::Listener>> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(world.hub.listen(interest(), ""));
    REQUIRE(all.back());
  }
  CHECK(world.hub.listener_count() == 3);
  CHECK_FALSE(world.hub.listen(interest(), ""));
  all.pop_back();
  CHECK(world.hub.listen(interest(), ""));
  world.hub.close();
  CHECK(all.front()->closed());
  CHECK_FALSE(world.hub.listen(interest(), ""));
}

TEST_CASE("many threads publish while one listens, and nothing is doubled or torn") {
  boost::asio::io_context io;
  EventHub hub{io, {100'000, 100'000'000, 2, std::chrono::milliseconds{50}}};
  const auto listener = hub.listen(interest(), "");
  std::vector<std::thread> running;
  for (int t = 0; t < 4; ++t) {
    running.emplace_back([&hub, t] {
      for (int i = 0; i < 2000; ++i) {
        hub.publish(event(EventType::device, std::to_string(t) + "-" + std::to_string(i)));
      }
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  const std::string text = taken(*listener);
  std::size_t count = 0;
  for (std::size_t at = text.find("event: device"); at != std::string::npos;
       at = text.find("event: device", at + 1)) {
    ++count;
  }
  CHECK(count == 8000);
}

/// Gathers what a stream writes; says at `stop_after` writes that the peer has gone.
class Writer final : public http::BodyWriter {
 public:
  boost::asio::awaitable<bool> write(std::string_view chunk) override {
    text.append(chunk);
    co_return ++writes < stop_after;
  }
  std::string text;
  int writes = 0;
  int stop_after = 1'000'000;
};

http::Request with_all_scopes() {
  http::Request request;
  request.scopes = {"*"};
  return request;
}

struct Endpoints {
  boost::asio::io_context io;
  EventHub hub{io, {100, 100'000, 2, std::chrono::milliseconds{50}}};
  bool token_is_good = true;
  http::EndpointTable table;
  http::Request request = with_all_scopes();
  Writer writer;

  Endpoints() {
    EventStreamOptions options;
    options.hub = &hub;
    options.parse_filter = [](std::string_view text) -> Result<EventFilter, EventFilterError> {
      if (text != "good") {
        return EventFilterError{7, "there is no such field"};
      }
      return EventFilter([](std::string_view device) { return device == "d1"; });
    };
    options.device_exists = [](std::string_view device) { return device == "d1"; };
    options.recheck = std::chrono::milliseconds{10};
    options.heartbeat = std::chrono::milliseconds{30};
    options.gather = std::chrono::milliseconds{1};
    table = event_endpoints(std::move(options));
    request.token_is_live = [this] { return token_is_good; };
  }

  http::Response ask(std::size_t index = 0) {
    http::Response answer;
    io.restart();
    boost::asio::co_spawn(io, table[index].handler(request),
                          [&answer](const std::exception_ptr& failure, http::Response response) {
                            CHECK(failure == nullptr);
                            answer = std::move(response);
                          });
    io.poll();
    return answer;
  }

  /// Runs the stream until it ends or `condition` holds.
  template <typename Condition>
  bool run(const http::Response& response, Condition condition) {
    bool ended = false;
    boost::asio::co_spawn(io, response.stream(writer), [&ended](const std::exception_ptr& failure) {
      CHECK(failure == nullptr);
      ended = true;
    });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    io.restart();
    while (!ended && !condition() && std::chrono::steady_clock::now() < deadline) {
      io.run_one_for(std::chrono::milliseconds{5});
      io.restart();
    }
    return ended;
  }
};

std::string code_of(const http::Response& response) {
  const std::size_t at = response.body.find("\"code\":\"");
  return at == std::string::npos
             ? ""
             : response.body.substr(at + 8, response.body.find('"', at + 8) - at - 8);
}

TEST_CASE("what a stream is asked is judged before it begins") {
  Endpoints world;
  world.request.query = {{"types", "presence,wind"}};
  CHECK(world.ask().status == 400);
  world.request.query = {{"device", "a b"}};
  CHECK(world.ask().status == 400);
  world.request.query = {{"colour", "red"}};
  CHECK(code_of(world.ask()) == "invalid_parameter");
  world.request.query = {{"filter", "bad"}};
  http::Response response = world.ask();
  CHECK(code_of(response) == "invalid_filter");
  CHECK(response.body.find("byte 7: there is no such field") != std::string::npos);
  world.request.query.clear();
  world.request.headers["accept"] = "application/json";
  CHECK(world.ask().status == 406);
  world.request.headers["accept"] = "text/event-stream";
  CHECK(world.ask().status == 200);
  world.request.parameters = {{"id", "d2"}};
  CHECK(code_of(world.ask(1)) == "device_not_found");
}

TEST_CASE("a stream tells what the token may read elsewhere, and nothing more") {
  Endpoints world;
  world.request.scopes = {"events:read"};
  for (const char* type : {"telemetry", "device", "enrolment", "certificate"}) {
    world.request.query = {{"types", type}};
    CHECK(code_of(world.ask()) == "insufficient_scope");
  }
  world.request.query.clear();
  const http::Response response = world.ask();
  REQUIRE(response.status == 200);
  world.hub.publish(event(EventType::telemetry, "d1"));
  world.hub.publish(event(EventType::certificate, "d1"));
  world.hub.publish(event(EventType::presence, "d1"));
  CHECK_FALSE(world.run(response, [&world] {
    return world.writer.text.find("event: presence") != std::string::npos;
  }));
  CHECK(fields(world.writer.text, "event") == "presence");
  world.request.scopes = {"events:read", "telemetry:read"};
  world.request.query = {{"types", "telemetry"}};
  CHECK(world.ask().status == 200);
}

TEST_CASE("one stream too many is asked to come back") {
  Endpoints world;
  const http::Response first = world.ask();
  const http::Response second = world.ask();
  CHECK(second.status == 200);
  const http::Response third = world.ask();
  CHECK(third.status == 503);
  CHECK(code_of(third) == "too_many_listeners");
}

TEST_CASE("a stream sends what comes and a sign of life when nothing does") {
  Endpoints world;
  world.request.query = {{"types", "presence"}, {"filter", "good"}};
  const http::Response response = world.ask();
  REQUIRE(response.status == 200);
  CHECK(response.content_type == "text/event-stream");
  world.hub.publish(event(EventType::presence, "d2"));
  world.hub.publish(event(EventType::presence, "d1"));
  world.hub.publish(event(EventType::telemetry, "d1"));
  const bool ended = world.run(response, [&world] {
    return world.writer.text.find(": heartbeat\n\n") != std::string::npos;
  });
  CHECK_FALSE(ended);
  CHECK(world.writer.text.starts_with("retry: 2000\n\n"));
  CHECK(fields(world.writer.text, "event") == "presence");
  CHECK(world.writer.text.find("\"d1\"") != std::string::npos);
}

TEST_CASE("a stream ends with its token, with its peer, and with the server") {
  Endpoints world;
  world.request.parameters = {{"id", "d1"}};
  SUBCASE("token") {
    const http::Response response = world.ask(1);
    world.token_is_good = false;
    CHECK(world.run(response, [] { return false; }));
    CHECK(world.writer.text.ends_with("event: end\ndata: {\"reason\":\"token_invalid\"}\n\n"));
  }
  SUBCASE("peer") {
    world.writer.stop_after = 2;
    CHECK(world.run(world.ask(1), [] { return false; }));
    CHECK(world.writer.writes == 2);
  }
  SUBCASE("server") {
    const http::Response response = world.ask(1);
    boost::asio::post(world.io, [&world] { world.hub.close(); });
    CHECK(world.run(response, [] { return false; }));
    CHECK(world.writer.text.ends_with("event: end\ndata: {\"reason\":\"server_stopping\"}\n\n"));
  }
  CHECK(world.hub.listener_count() == 0);
}

}  // namespace
}  // namespace skerry::admin_api
