// What is refused while disk space is low, over the whole table, and what goes on.
#include "admin-api/space_guard.hpp"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

using namespace skerry;
using namespace skerry::admin_api;

namespace {

boost::asio::awaitable<http::Response> done(const http::Request&) {
  http::Response response;
  response.status = 204;
  co_return response;
}

http::Response call(const http::Endpoint& endpoint) {
  boost::asio::io_context io;
  http::Response answer;
  const http::Request request;
  boost::asio::co_spawn(io, endpoint.handler(request),
                        [&](std::exception_ptr thrown, http::Response response) {
                          REQUIRE(!thrown);
                          answer = std::move(response);
                        });
  io.run();
  return answer;
}

}  // namespace

TEST_CASE("requests that store something new are refused with 507 while space is low") {
  std::atomic<bool> low{false};
  const std::pair<const char*, const char*> rows[] = {
      {"POST", "/api/v1/devices"},       {"PUT", "/api/v1/devices/{id}"},
      {"PATCH", "/api/v1/devices/{id}"}, {"POST", "/api/v1/devices:import"},
      {"POST", "/api/v1/services"},      {"PUT", "/api/v1/services/{name}/password"}};
  for (const auto& [method, route] : rows) {
    CAPTURE(route);
    http::EndpointTable table{{method, route, http::Guard::token, 0, done}};
    CHECK(takes_space(table.front()));
    refuse_when_low(table, low);
    CHECK(call(table.front()).status == 204);
    low = true;
    const http::Response refused = call(table.front());
    CHECK(refused.status == 507);
    CHECK(refused.body.find("storage_low") != std::string::npos);
    low = false;
    CHECK(call(table.front()).status == 204);
  }
}

TEST_CASE("what deletes, locks out or asks goes on") {
  std::atomic<bool> low{true};
  const std::pair<const char*, const char*> rows[] = {
      {"GET", "/api/v1/devices"},
      {"DELETE", "/api/v1/devices/{id}"},
      {"POST", "/api/v1/tokens"},
      {"POST", "/api/v1/devices/{id}:suspend"},
      {"POST", "/api/v1/devices/{id}:retire"},
      {"POST", "/api/v1/certificates/{serial}:revoke"},
      {"POST", "/api/v1/telemetry:query"}};
  for (const auto& [method, route] : rows) {
    CAPTURE(route);
    http::EndpointTable table{{method, route, http::Guard::token, 0, done}};
    refuse_when_low(table, low);
    CHECK(call(table.front()).status == 204);
  }
}
