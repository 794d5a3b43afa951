// Idempotency keys: once done, told again; never for another request or another caller.
#include "admin-api/idempotency.hpp"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "unit/admin-api/admin_fixture.hpp"

using namespace skerry;
using namespace skerry::admin_api;
using boost::asio::awaitable;

namespace {

struct World {
  explicit World(IdempotencyLimits limits = {}) : store([this] { return now; }, limits) {
    table = {{"POST", "/things", http::Guard::token, 1024, handler()},
             {"POST", "/open", http::Guard::none, 1024, handler()},
             {"GET", "/things", http::Guard::token, 0, handler()}};
    make_idempotent(table, store);
  }

  http::Handler handler() {
    return [this](const http::Request& request) -> awaitable<http::Response> {
      ++done;
      if (request.body == "wait") {
        boost::asio::steady_timer timer{io, std::chrono::milliseconds{20}};
        co_await timer.async_wait(boost::asio::use_awaitable);
      }
      if (request.body == "throw") {
        throw std::runtime_error("broken");
      }
      http::Response response;
      response.status = status;
      response.body = std::to_string(done) + std::string(padding, 'x');
      co_return response;
    };
  }

  http::Response call(const std::string& key, const std::string& body = "a",
                      const std::string& principal = "user:a", std::size_t endpoint = 0) {
    http::Response answer;
    start(key, body, principal, endpoint, answer);
    io.restart();
    io.run();
    return answer;
  }

  void start(const std::string& key, const std::string& body, const std::string& principal,
             std::size_t endpoint, http::Response& answer) {
    auto request = std::make_shared<http::Request>();
    request->method = table[endpoint].method;
    request->path = table[endpoint].route;
    request->body = body;
    request->principal = principal;
    if (key != "-") {
      request->headers["idempotency-key"] = key;
    }
    auto run = [this, request, endpoint, &answer]() -> awaitable<void> {
      try {
        answer = co_await table[endpoint].handler(*request);
      } catch (const std::exception& exception) {
        answer.status = 500;
        answer.body = exception.what();
      }
    };
    // The lambda itself lives as long as the coroutine: its captures are its state.
    auto kept = std::make_shared<decltype(run)>(std::move(run));
    boost::asio::co_spawn(
        io, [kept] { return (*kept)(); }, [kept](const std::exception_ptr&) {});
  }

  SteadyTime now{};
  IdempotencyStore store;
  http::EndpointTable table;
  boost::asio::io_context io;
  int done = 0;
  int status = 201;
  std::size_t padding = 0;
};

}  // namespace

TEST_CASE("the same request with the same key is done once and answered the same") {
  World world;
  CHECK(world.call("k1").body == "1");
  const http::Response again = world.call("k1");
  CHECK(again.status == 201);
  CHECK(again.body == "1");
  CHECK(test::header_of(again, "Idempotency-Replayed") == "true");
  CHECK(world.done == 1);
  CHECK(world.call("k2").body == "2");
  CHECK(world.call("-").body == "3");
  CHECK(world.call("-").body == "4");
}

TEST_CASE("the same key for another request is 422, for another caller a key of its own") {
  World world;
  world.call("k1");
  const http::Response other = world.call("k1", "b");
  CHECK(other.status == 422);
  CHECK(test::code_of(other) == "idempotency_key_reused");
  CHECK(world.call("k1", "a", "user:b").body == "2");
  CHECK(world.done == 2);
}

TEST_CASE("while it is under way, the same key is 409") {
  World world;
  http::Response first;
  http::Response second;
  world.start("k1", "wait", "user:a", 0, first);
  world.start("k1", "wait", "user:a", 0, second);
  world.io.run();
  CHECK(first.status == 201);
  CHECK(second.status == 409);
  CHECK(test::code_of(second) == "request_in_progress");
  CHECK(world.call("k1", "wait").body == "1");
}

TEST_CASE("what the server could not do may be tried again") {
  World world;
  world.status = 503;
  CHECK(world.call("k1").status == 503);
  world.status = 201;
  CHECK(world.call("k1").body == "2");
  CHECK(world.call("k2", "throw").status == 500);
  CHECK(world.call("k2", "throw").status == 500);
  CHECK(world.done == 4);
  world.status = 422;
  CHECK(world.call("k3").status == 422);
  world.status = 201;
  CHECK(world.call("k3").status == 422);  // the request was at fault: its answer stays
}

TEST_CASE("answers are kept for 24 hours") {
  World world;
  world.call("k1");
  world.now += std::chrono::hours{24} - std::chrono::seconds{1};
  CHECK(world.call("k1").body == "1");
  world.now += std::chrono::seconds{1};
  CHECK(world.call("k1").body == "2");
  CHECK(world.store.forgotten() == 0);
}

TEST_CASE("the oldest answers give way when there are too many, by number or bytes") {
  IdempotencyLimits limits;
  limits.answers_max = 2;
  World few{limits};
  few.call("k1");
  few.call("k2");
  few.call("k3");
  CHECK(few.store.forgotten() == 1);
  CHECK(few.call("k3").body == "3");
  CHECK(few.call("k1").body == "4");
  IdempotencyLimits small;
  small.bytes_max = 5000;
  small.answer_bytes_max = 4000;
  World little{small};
  little.padding = 2000;
  little.call("k1");
  little.call("k2");
  little.call("k3");
  CHECK(little.store.forgotten() >= 1);
  little.padding = 4000;
  little.call("large");
  const int before = little.done;
  little.call("large");
  CHECK(little.done == before + 1);  // too large to be kept
}

TEST_CASE("a key that is none is 400, and only guarded POSTs look at it") {
  World world;
  for (const std::string& key : {std::string{}, std::string{"a b"}, std::string{"\x01"},
                                 std::string(256, 'k'), std::string{"\xC3\xA4"}}) {
    const http::Response answer = world.call(key);
    CHECK(answer.status == 400);
    CHECK(test::code_of(answer) == "invalid_idempotency_key");
  }
  CHECK(world.call(std::string(255, 'k')).status == 201);
  for (const std::size_t endpoint : {1U, 2U}) {
    const int before = world.done;
    world.call("k1", "a", "user:a", endpoint);
    world.call("k1", "a", "user:a", endpoint);
    CHECK(world.done == before + 2);
  }
}
