// TelemetryParser: what is telemetry, what is not and why, and when a clock is called wrong.
#include "twin/telemetry_parser.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/limits.hpp"

namespace skerry::twin {
namespace {

constexpr std::int64_t arrival_ms = 1'700'000'000'000;
const WallTime arrival = wall_from_epoch(arrival_ms);

/// "key@timestamp=value" for each sample, '!' behind flagged ones, by blanks; "error: …" otherwise.
std::string parsed(std::string_view payload) {
  TelemetryParser parser;
  const auto samples = parser.parse(as_bytes(payload), arrival);
  if (samples.has_error()) {
    return std::string("error: ") + samples.error().what;
  }
  std::string out;
  for (const Sample& sample : *samples) {
    out.append(out.empty() ? "" : " ").append(sample.key);
    if (sample.timestamp != arrival_ms) {
      out.append("@").append(std::to_string(sample.timestamp));
    }
    out.append("=");
    if (const auto* integer = std::get_if<std::int64_t>(&sample.value)) {
      out.append(std::to_string(*integer));
    } else if (const auto* real = std::get_if<double>(&sample.value)) {
      out.append("r").append(std::to_string(*real));
    } else if (const auto* boolean = std::get_if<bool>(&sample.value)) {
      out.append(*boolean ? "true" : "false");
    } else {
      out.append("'").append(std::get<std::string_view>(sample.value)).append("'");
    }
    out.append(sample.flags != 0 ? "!" : "");
  }
  return out;
}

struct Case {
  std::string_view payload;
  std::string_view expected;
};

TEST_CASE("every accepted shape gives its samples") {
  const Case cases[] = {
      {R"({"a":1})", "a=1"},
      {R"({"ts":1700000000001,"temperature":21.5})", "temperature@1700000000001=r21.500000"},
      {R"({"temperature":21.5,"ts":1700000000001})", "temperature@1700000000001=r21.500000"},
      {R"({"ts":1700000000001,"values":{"a":1,"b":true}})",
       "a@1700000000001=1 b@1700000000001=true"},
      {R"({"values":{"a":1},"ts":1700000000001})", "a@1700000000001=1"},
      {R"([{"ts":1700000000001,"a":1},{"a":2},{"values":{"b":"x"}}])",
       "a@1700000000001=1 a=2 b='x'"},
      {R"({"gps":{"lat":52,"fix":{"ok":true}},"n":-7})", "gps.lat=52 gps.fix.ok=true n=-7"},
      {R"({"ts":1700000000001,"values":{"gps":{"lat":52}}})", "gps.lat@1700000000001=52"},
      {R"({"mode":"auto","empty":"","on":false})", "mode='auto' empty='' on=false"},
      {R"({"text":"a\u0000\n\"\u00e4"})", std::string_view("text='a\0\n\"\xc3\xa4'", 13)},
      {R"({"a":9223372036854775807,"b":-9223372036854775808})",
       "a=9223372036854775807 b=-9223372036854775808"},
      {R"({"a":9223372036854775808})", "a=r9223372036854775808.000000"},
      {R"({"a":1e3})", "a=r1000.000000"},
      {R"({"a":1,"a":2})", "a=1 a=2"},
      {R"({"values":5})", "values=5"},
      {R"({"values":{"ts":5}})", "ts=5"},
      {R"({"a":{"ts":5}})", "a.ts=5"},
      {" \n{ \"a\" : 1 } ", "a=1"},
      {R"({"a":null,"b":1})", "b=1"},
      {R"({"a":null})", ""},
      {R"([{"a":null},{"values":{"b":null}}])", ""},
  };
  for (const Case& each : cases) {
    CAPTURE(each.payload);
    CHECK(parsed(each.payload) == each.expected);
  }
}

TEST_CASE("every kind of mistake is named") {
  const Case cases[] = {
      {"", "error: the payload is empty"},
      {"  ", "error: the payload is empty"},
      {"21.5", "error: telemetry must be an object or an array of objects"},
      {"\"x\"", "error: telemetry must be an object or an array of objects"},
      {"null", "error: telemetry must be an object or an array of objects"},
      {"[1,2]", "error: telemetry must be an object or an array of objects"},
      {"[[{\"a\":1}]]", "error: telemetry must be an object or an array of objects"},
      {"temperature=21.5", "error: the payload is not JSON"},
      {"{\"a\":1", "error: the payload is not JSON"},
      {"{\"a\":1}}", "error: the payload is not JSON"},
      {"{\"a\":1} {\"a\":2}", "error: the payload is not JSON"},
      {"{'a':1}", "error: the payload is not JSON"},
      {"{\"a\":1,}", "error: the payload is not JSON"},
      {"{\"a\":NaN}", "error: the payload is not JSON"},
      {"{\"a\":1e999}", "error: a number is malformed or too large"},
      {"{\"a\":01}", "error: a number is malformed or too large"},
      {"{\"a\":\"\xff\"}", "error: the payload is not valid UTF-8"},
      {"{\"a\":\"\xed\xa0\x80\"}", "error: the payload is not valid UTF-8"},
      {R"({"ts":"1700000000000","a":1})", "error: ts must be an integer of epoch milliseconds"},
      {R"({"ts":1700000000000.5,"a":1})", "error: ts must be an integer of epoch milliseconds"},
      {R"({"ts":null,"a":1})", "error: ts must be an integer of epoch milliseconds"},
      {R"({"ts":{},"a":1})", "error: ts must be an integer of epoch milliseconds"},
      {R"({"ts":1700000000000000,"a":1})", "error: ts lies outside the years 1 to 9999"},
      {R"({"ts":18446744073709551615,"a":1})", "error: ts lies outside the years 1 to 9999"},
      {R"({"ts":-9223372036854775808,"a":1})", "error: ts lies outside the years 1 to 9999"},
      {R"({"ts":1,"a":1,"ts":2})", "error: ts is given twice"},
      {R"({"ts":1,"values":{"a":1},"b":2})", "error: beside values only ts is allowed"},
      {R"({"values":{"a":1},"values":{"a":1}})", "error: beside values only ts is allowed"},
      {"{}", "error: there is no value"},
      {"[]", "error: there is no value"},
      {R"({"ts":1700000000000})", "error: there is no value"},
      {R"({"values":{}})", "error: there is no value"},
      {R"({"a":{"b":{}}})", "error: there is no value"},
      {R"([{"a":1},{}])", "error: there is no value"},
      {R"({"a":[1,2]})", "error: arrays as values are not supported"},
      {R"({"a":{"b":[]}})", "error: arrays as values are not supported"},
      {R"({"":1})", "error: a key is empty"},
      {R"({"a":{"":1}})", "error: a key is empty"},
      {R"({"a\u0000b":1})", "error: a key holds a control character"},
      {R"({"a\nb":1})", "error: a key holds a control character"},
      {R"({"a\u007f":1})", "error: a key holds a control character"},
      {R"({"a\u0085":1})", "error: a key holds a control character"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.payload);
    CHECK(parsed(each.payload) == each.expected);
  }
}

TEST_CASE("keys may be any text without control characters") {
  CHECK(parsed(R"({"Größe, m²":1})") == "Größe, m²=1");
  CHECK(parsed(R"({"a b/c#+$":1})") == "a b/c#+$=1");
}

TEST_CASE("no truncation of a document is accepted") {
  const std::string whole =
      R"([{"ts":1700000000001,"values":{"a":{"b":-1.5e3},"c":"\u00e4x"}},{"d":true,"e":null}])";
  CHECK(parsed(whole) == "a.b@1700000000001=r-1500.000000 c@1700000000001='äx' d=true");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    // A copy of its own, so that a read past the end is seen by the sanitizer.
    CHECK(parsed(std::string(whole.data(), size)).starts_with("error: "));
  }
}

TEST_CASE("any single byte of a document may be anything without harm") {
  const std::string whole = R"({"ts":1700000000001,"values":{"a":{"b":-1.5e3},"c":"\u00e4x"}})";
  TelemetryParser parser;
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = whole;
      changed[i] = static_cast<char>(byte);
      accepted += parser.parse(as_bytes(changed), arrival).has_value() ? 1 : 0;
    }
  }
  CHECK(accepted > 0);
}

TEST_CASE("samples are flagged outside thirty days back and five minutes ahead") {
  const auto flagged = [](std::int64_t ts) {
    return parsed("{\"ts\":" + std::to_string(ts) + ",\"a\":1}").ends_with("!");
  };
  CHECK_FALSE(flagged(arrival_ms));
  CHECK_FALSE(flagged(arrival_ms + 300'000));
  CHECK(flagged(arrival_ms + 300'001));
  CHECK_FALSE(flagged(arrival_ms - 30LL * 86'400'000));
  CHECK(flagged(arrival_ms - 30LL * 86'400'000 - 1));
  CHECK(flagged(0));
  CHECK(flagged(-1));
  CHECK(flagged(1'700'000'000));  // Seconds instead of milliseconds.
  CHECK(flagged(timestamp_min));
  CHECK(flagged(timestamp_max));
}

TEST_CASE("a flag belongs to its own message of an array") {
  CHECK(parsed(R"([{"ts":5,"a":1},{"a":2}])") == "a@5=1! a=2");
}

std::string with_samples(std::size_t count) {
  std::string payload = "[";
  for (std::size_t i = 0; i < count; ++i) {
    payload += (i == 0 ? "{\"k\":" : ",{\"k\":") + std::to_string(i) + "}";
  }
  return payload + "]";
}

std::string nested(std::size_t levels) {
  std::string payload = "{\"values\":";
  for (std::size_t i = 0; i < levels; ++i) {
    payload += "{\"a\":";
  }
  payload += "{\"v\":1}";
  return payload + std::string(levels + 1, '}');
}

TEST_CASE("caps hold at their exact value") {
  CHECK_FALSE(parsed(with_samples(telemetry_samples_max)).starts_with("error"));
  CHECK(parsed(with_samples(telemetry_samples_max + 1)) ==
        "error: there are too many values in one message");

  CHECK_FALSE(parsed(nested(telemetry_depth_max)).starts_with("error"));
  CHECK(parsed(nested(telemetry_depth_max + 1)) == "error: objects are nested too deep");
  CHECK(parsed(nested(10'000)) == "error: objects are nested too deep");
  CHECK(parsed(std::string(10'000, '[')).starts_with("error: "));

  const std::string key(telemetry_key_bytes_max, 'k');
  CHECK_FALSE(parsed("{\"" + key + "\":1}").starts_with("error"));
  CHECK(parsed("{\"" + key + "k\":1}") == "error: a key is too long");
  CHECK(parsed("{\"a\":{\"" + key.substr(1) + "\":1}}") == "error: a key is too long");
  CHECK_FALSE(parsed("{\"a\":{\"" + key.substr(2) + "\":1}}").starts_with("error"));

  const std::string text(telemetry_string_bytes_max, 't');
  CHECK_FALSE(parsed("{\"a\":\"" + text + "\"}").starts_with("error"));
  CHECK(parsed("{\"a\":\"" + text + "t\"}") == "error: a string value is too long");

  const std::string blanks(telemetry_payload_bytes_max - 7, ' ');
  CHECK(parsed("{\"a\":1}" + blanks) == "a=1");
  CHECK(parsed("{\"a\":1} " + blanks) ==
        "error: the payload is larger than a telemetry message may be");
}

TEST_CASE("a parser goes on after a mistake and after a large message") {
  TelemetryParser parser;
  CHECK(parser.parse(as_bytes(with_samples(1000)), arrival).has_value());
  CHECK(parser.parse(as_bytes(std::string_view("{\"a\":{\"b\":[")), arrival).has_error());
  CHECK(parser.parse(as_bytes(std::string_view("{\"a\":{\"b\":[]}}")), arrival).has_error());
  const auto samples = parser.parse(as_bytes(std::string_view("{\"c\":{\"d\":1}}")), arrival);
  REQUIRE(samples.has_value());
  REQUIRE(samples->size() == 1);
  CHECK((*samples)[0].key == "c.d");
}

TEST_CASE("joined keys of a full message all stay intact") {
  std::string payload = "{";
  const std::string group(100, 'g');
  for (std::size_t i = 0; i < telemetry_samples_max; ++i) {
    payload += (i == 0 ? "\"" : ",\"") + group + "\":{\"" + std::to_string(i) + "\":1}";
  }
  TelemetryParser parser;
  for (int round = 0; round < 2; ++round) {
    const auto samples = parser.parse(as_bytes(payload + "}"), arrival);
    REQUIRE(samples.has_value());
    REQUIRE(samples->size() == telemetry_samples_max);
    for (std::size_t i = 0; i < samples->size(); ++i) {
      REQUIRE((*samples)[i].key == group + "." + std::to_string(i));
    }
  }
}

}  // namespace
}  // namespace skerry::twin
