// JSON bodies under caps.
#include "http/json_body.hpp"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>

using namespace skerry::http;

namespace {

Request with_body(std::string body, std::string type = "application/json") {
  Request request;
  request.body = std::move(body);
  request.headers["content-type"] = std::move(type);
  return request;
}

std::string code_of(const Response& response) {
  return std::string{boost::json::parse(response.body).at("code").as_string()};
}

}  // namespace

TEST_CASE("an object is read, with the types that mean JSON") {
  for (const std::string type : {"application/json", "application/json; charset=utf-8",
                                 "Application/JSON", "application/merge-patch+json", ""}) {
    CAPTURE(type);
    const auto body = parse_json_object(with_body(R"({"a":1})", type));
    REQUIRE(body.has_value());
    CHECK(body->at("a").as_int64() == 1);
  }
  CHECK(parse_json_object(with_body("{}", "text/plain")).error().status == 415);
}

TEST_CASE("what does not parse is a 400 that says where") {
  const auto broken = parse_json_object(with_body("{\n  \"a\": }"));
  REQUIRE(broken.has_error());
  CHECK(broken.error().status == 400);
  CHECK(code_of(broken.error()) == "malformed_json");
  CHECK(broken.error().body.find("line 2") != std::string::npos);
  for (const std::string text : {"", "[]", "1", "{", "{} {}", "{\"a\":1,}", "{\"a\":\"\xff\"}"}) {
    CAPTURE(text);
    CHECK(parse_json_object(with_body(text)).error().status == 400);
  }
}

TEST_CASE("a member that is there twice is a 400 that names it") {
  const std::pair<const char*, const char*> bad[] = {
      {R"({"a":1,"b":2,"a":1})", "/a"},
      {R"({"a":1,"\u0061":2})", "/a"},
      {R"({"tags":["x"],"keys":[{"v":"x"},{"v":[],"o":{"v":1},"v":null}]})", "/keys/1/v"},
      {R"({"x":{"":1,"b/c~":2,"":3}})", "/x/"},
      {R"({"x":[1,"a",true,null,2.5,18446744073709551615,{"b/c~":{},"b/c~":{}}]})", "/x/6/b~1c~0"},
  };
  for (const auto& [text, pointer] : bad) {
    CAPTURE(text);
    const auto read = parse_json_object(with_body(text));
    REQUIRE(read.has_error());
    CHECK(read.error().status == 400);
    CHECK(code_of(read.error()) == "repeated_member");
    CHECK(boost::json::parse(read.error().body).at("errors").at(0).at("pointer") == pointer);
  }
  for (const char* good :
       {R"({"a":{"a":{"a":1}},"b":{"a":1},"A":2})", R"({"x":[{"a":1},{"a":2}],"":1})"}) {
    CHECK_MESSAGE(parse_json_object(with_body(good)).has_value(), good);
  }
}

TEST_CASE("nesting has a cap") {
  std::string deep = R"({"a":)";
  for (std::size_t level = 0; level < json_depth_max; ++level) {
    deep += "[";
  }
  CHECK(parse_json_object(with_body(deep)).has_error());
  CHECK(parse_json_object(with_body("{\"a\":" + std::string(100'000, '['))).has_error());
}

TEST_CASE("fields are judged with their pointer") {
  const auto body = parse_json_object(with_body(R"({"a":1,"b/c":"x"})"));
  CHECK(*string_field(*body, "b/c") == "x");
  const auto wrong = string_field(*body, "a");
  REQUIRE(wrong.has_error());
  CHECK(wrong.error().status == 422);
  CHECK(wrong.error().body.find(R"("pointer":"/a")") != std::string::npos);
  CHECK(code_of(string_field(*body, "z").error()) == "field_missing");
  const auto unknown = refuse_unknown_fields(*body, {"a"});
  REQUIRE(unknown);
  CHECK(unknown->body.find(R"("pointer":"/b~1c")") != std::string::npos);
  CHECK_FALSE(refuse_unknown_fields(*body, {"a", "b/c"}));
}
