// Scopes as text, and what a server lets a token do.
#include "http/scope.hpp"

#include <doctest/doctest.h>

#include "unit/http/test_server.hpp"

using namespace skerry::http;

TEST_CASE("only scopes of the known forms are valid") {
  for (const char* scope : {"*", "*:read", "devices:read", "devices:write", "devices:*", "x-y:*"}) {
    CHECK_MESSAGE(is_valid_scope(scope), scope);
  }
  for (const char* scope : {"", ":", "*:", "*:write", "*:*", "devices", "devices:", "devices:own",
                            ":read", "Devices:read", "devices:read:", "dev ices:read",
                            "abcdefghijklmnopqrstuvwxyzabcdefg:read"}) {
    CHECK_MESSAGE(!is_valid_scope(scope), scope);
  }
}

TEST_CASE("a list covers what its scopes stand for and nothing else") {
  CHECK(covers({"*"}, "devices:write"));
  CHECK(covers({"*"}, "*"));
  CHECK(covers({"devices:*"}, "devices:read"));
  CHECK(covers({"devices:*"}, "devices:*"));
  CHECK(covers({"devices:read", "devices:write"}, "devices:*"));
  CHECK(covers({"*:read"}, "audit:read"));
  CHECK(covers({"*:read"}, "*:read"));
  CHECK(covers({"*:read", "devices:write"}, "devices:*"));
  CHECK_FALSE(covers({}, "devices:read"));
  CHECK_FALSE(covers({"*:read"}, "devices:write"));
  CHECK_FALSE(covers({"*:read"}, "*"));
  CHECK_FALSE(covers({"devices:read"}, "devices:write"));
  CHECK_FALSE(covers({"devices:read"}, "devices:*"));
  CHECK_FALSE(covers({"devices:*"}, "device:read"));
  CHECK_FALSE(covers({"devices:read"}, "*:read"));
}

TEST_CASE("an endpoint needs what its route says") {
  CHECK(default_scope("GET", "/api/v1/devices/{id}") == "devices:read");
  CHECK(default_scope("HEAD", "/api/v1/devices") == "devices:read");
  CHECK(default_scope("POST", "/api/v1/devices:import") == "devices:write");
  CHECK(default_scope("DELETE", "/api/v1/tokens/{id}") == "tokens:write");
  CHECK(default_scope("GET", "/api/v1/openapi.json") == "openapi:read");
  CHECK(default_scope("GET", "/metrics") == "*");
}

TEST_CASE("a token without the scope is refused with what it lacks, before the body") {
  ServerOptions options;
  std::vector<Refusal> refusals;
  options.guard = [](std::string_view token) -> Principal {
    if (token == "reader") {
      return {"user:reader", {"things:read"}};
    }
    return {};
  };
  options.refused = [&](const Refusal& refusal) { refusals.push_back(refusal); };
  const Handler name = [](const Request& request) -> boost::asio::awaitable<Response> {
    Response response;
    response.body = "[" + request.principal + "]";
    co_return response;
  };
  {
    const TestServer server{options,
                            {{"GET", "/api/v1/things", Guard::token, 0, name},
                             {"POST", "/api/v1/things", Guard::token, 1024, name},
                             {"POST", "/api/v1/things:count", Guard::token, 0, name, "things:read"},
                             {"POST", "/api/v1/tokens", Guard::none, 0, name}}};
    const std::string reader = "Authorization: Bearer reader\r\n";
    CHECK(count(server.exchange(request("GET /api/v1/things", reader)), "[user:reader]") == 1);
    CHECK(count(server.exchange(request("POST /api/v1/things:count", reader)), "200 OK") == 1);
    const std::string refused = server.exchange(request("POST /api/v1/things", reader, "{}"));
    CHECK(count(refused, "HTTP/1.1 403") == 1);
    CHECK(count(refused, "\"insufficient_scope\"") >= 1);
    CHECK(count(refused, "scope=\"things:write\"") == 1);
    CHECK(count(server.exchange(request("POST /api/v1/tokens", reader)), "[user:reader]") == 1);
    CHECK(count(server.exchange(request("POST /api/v1/tokens", "Authorization: Bearer x\r\n")),
                "[]") == 1);
    CHECK(count(server.exchange(request("GET /api/v1/things", "Authorization: Bearer x\r\n")),
                "HTTP/1.1 401") == 1);
  }
  REQUIRE(refusals.size() == 2);
  CHECK(refusals[0].principal == "user:reader");
  CHECK(refusals[0].scope == "things:write");
  CHECK(refusals[1].code == "token_invalid");
}
