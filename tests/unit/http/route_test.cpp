// Targets and routes as pure functions.
#include "http/route.hpp"

#include <doctest/doctest.h>

using namespace skerry::http;

namespace {

boost::asio::awaitable<Response> nothing(const Request&) {
  co_return Response{};
}

}  // namespace

TEST_CASE("percent-decoding is strict") {
  std::string out;
  CHECK(percent_decode("a%2fb%C3%A4", false, out));
  CHECK(out == "a/b\xC3\xA4");
  CHECK(percent_decode("a+b", true, out));
  CHECK(out == "a b");
  CHECK(percent_decode("a+b", false, out));
  CHECK(out == "a+b");
  for (const std::string_view bad : {"%", "%1", "%g1", "%1g", "a%", "%00", "%0a", "%7f", "a\nb"}) {
    CAPTURE(bad);
    CHECK_FALSE(percent_decode(bad, false, out));
  }
}

TEST_CASE("a target is taken apart into decoded segments and query") {
  const auto target = parse_target("/api/v1/devices/a%2Fb?x=1&y=&z&x=2&&a%3D=b%26c");
  REQUIRE(target.has_value());
  CHECK(target->segments == std::vector<std::string>{"api", "v1", "devices", "a/b"});
  CHECK(target->query.at("x") == "2");
  CHECK(target->query.at("y").empty());
  CHECK(target->query.at("z").empty());
  CHECK(target->query.at("a=") == "b&c");
  CHECK(parse_target("/")->segments.empty());
  CHECK(parse_target("/?a=b")->query.at("a") == "b");
}

TEST_CASE("targets that nobody who means well sends are errors") {
  for (const std::string bad :
       {"", "a", "*", "//", "/a//b", "/a/", "/.", "/a/../b", "/%2e%2e/b", "/a#b", "/%", "/?%",
        "/a?b=%0d%0a", "/%ff", "/\xc3", "/%ed%a0%80", "/a?b=%c0%80", "/a?%ff=b"}) {
    CAPTURE(bad);
    CHECK(parse_target(bad).has_error());
  }
  CHECK(parse_target("/" + std::string(target_bytes_max, 'a')).has_error());
  std::string deep;
  for (std::size_t level = 0; level <= path_segments_max; ++level) {
    deep += "/a";
  }
  CHECK(parse_target(deep).has_error());
  std::string wide = "/?";
  for (std::size_t pair = 0; pair <= query_pairs_max; ++pair) {
    wide += "a=b&";
  }
  CHECK(parse_target(wide).has_error());
}

TEST_CASE("what a target says is UTF-8 once it is decoded") {
  for (const std::string good :
       {"%c2%80", "%c3%a9", "%e2%82%ac", "%ed%9f%bf", "%f0%90%80%80", "%f4%8f%bf%bf", "\xc3\xa9"}) {
    CAPTURE(good);
    CHECK_FALSE(parse_target("/" + good).has_error());
    CHECK_FALSE(parse_target("/a?b=" + good).has_error());
  }
  for (const std::string bad : {"%80", "%c1%bf", "%c3", "%c3a", "%e0%9f%bf", "%e2%82", "%ed%a0%80",
                                "%f0%8f%bf%bf", "%f0%90%80", "%f4%90%80%80", "%f5%80%80%80"}) {
    CAPTURE(bad);
    CHECK(parse_target("/" + bad).has_error());
    CHECK(parse_target("/a?b=" + bad).has_error());
  }
}

TEST_CASE("literal segments win over parameters, endings over bare parameters") {
  const EndpointTable table = {
      {"GET", "/d/{id}", Guard::none, 0, &nothing},
      {"GET", "/d/all", Guard::none, 0, &nothing},
      {"POST", "/d/{id}:stop", Guard::none, 0, &nothing},
      {"GET", "/d/{id}/t/{key}", Guard::none, 0, &nothing},
      {"DELETE", "/d/{id}", Guard::none, 0, &nothing},
  };
  const Router router{table};
  const auto route = [&](std::string_view method, std::string_view path) {
    const auto match = router.match(method, *parse_target(path));
    return match.endpoint == nullptr ? std::string{} : match.endpoint->route;
  };
  CHECK(route("GET", "/d/7") == "/d/{id}");
  CHECK(route("HEAD", "/d/7") == "/d/{id}");
  CHECK(route("GET", "/d/all") == "/d/all");
  CHECK(route("POST", "/d/7:stop") == "/d/{id}:stop");
  CHECK(route("POST", "/d/:stop").empty());
  CHECK(route("GET", "/d/7/t/x") == "/d/{id}/t/{key}");
  CHECK(route("GET", "/d").empty());
  CHECK(route("PUT", "/d/7").empty());
  const auto match = router.match("PUT", *parse_target("/d/7"));
  CHECK(match.allowed == std::vector<std::string>{"DELETE", "GET", "HEAD", "OPTIONS"});
  const auto deep = router.match("GET", *parse_target("/d/7/t/x"));
  CHECK(deep.parameters.at("id") == "7");
  CHECK(deep.parameters.at("key") == "x");
}
