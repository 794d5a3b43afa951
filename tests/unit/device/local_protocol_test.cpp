// Lines of the local socket: what is taken, and that whatever else comes is refused with a
// sentence.
#include "device/local_protocol.hpp"

#include <doctest/doctest.h>

#include "device/limits.hpp"

using namespace skerry;
using namespace skerry::agent;

namespace {

TEST_CASE("one metric, with and without its time") {
  const auto message = parse_local_line(R"({"metric":"pressure","value":3.2})");
  REQUIRE(message.has_value());
  CHECK(std::get<LocalMetrics>(message->what).readings == Readings{{"pressure", Value{3.2}}});
  CHECK_FALSE(message->time);
  const auto timed = parse_local_line(R"({"value":true,"metric":"a.b","ts":1732536000000})");
  REQUIRE(timed.has_value());
  CHECK(timed->time == wall_from_epoch(1'732'536'000'000));
}

TEST_CASE("several values of one instant") {
  const auto message =
      parse_local_line(R"({"values":{"a":1,"b":"open","c":false,"d":18446744073709551615}})");
  REQUIRE(message.has_value());
  CHECK(std::get<LocalMetrics>(message->what).readings ==
        Readings{{"a", Value{std::int64_t{1}}},
                 {"b", Value{std::string{"open"}}},
                 {"c", Value{false}},
                 {"d", Value{18446744073709551615.0}}});
}

TEST_CASE("an alarm, its severity a warning unless it says more") {
  const auto message = parse_local_line(
      R"({"alarm":"overheat","severity":"critical","text":"91 \"degrees\"","data":{"limit":85}})");
  REQUIRE(message.has_value());
  const auto& alarm = std::get<LocalAlarm>(message->what);
  CHECK(alarm.name == "overheat");
  CHECK(alarm.severity == "critical");
  CHECK(alarm.text == "91 \"degrees\"");
  CHECK(alarm.data == R"({"limit":85})");
  CHECK(std::get<LocalAlarm>(parse_local_line(R"({"alarm":"a"})")->what).severity == "warning");
}

TEST_CASE("what is refused") {
  for (const char* line :
       {"",
        " ",
        "{",
        "[]",
        "1",
        "null",
        "{}",
        "\"metric\"",
        R"({"metric":"a"})",
        R"({"metric":"a","value":null})",
        R"({"metric":"a","value":[1]})",
        R"({"metric":"a","value":{"b":1}})",
        R"({"metric":1,"value":1})",
        R"({"metric":"","value":1})",
        R"({"metric":"a b","value":1})",
        R"({"metric":"a\n","value":1})",
        R"({"metric":"system.cpu.percent","value":1})",
        R"({"metric":"agent.spool","value":1})",
        R"({"metric":"a","value":1,"more":1})",
        R"({"metric":"a","value":1,"values":{}})",
        R"({"values":{}})",
        R"({"values":[1]})",
        R"({"values":{"a":1},"b":2})",
        R"({"metric":"a","value":1e999})",
        R"({"metric":"a","value":1,"ts":"now"})",
        R"({"metric":"a","value":1,"ts":-1})",
        R"({"metric":"a","value":1,"ts":1.5})",
        R"({"metric":"a","value":1,"ts":5000})",
        R"({"metric":"a","value":1,"ts":253402300800000})",
        R"({"alarm":"a/b"})",
        R"({"alarm":"#"})",
        R"({"alarm":"+"})",
        R"({"alarm":""})",
        R"({"alarm":1})",
        R"({"alarm":"a","severity":"loud"})",
        R"({"alarm":"a","severity":1})",
        R"({"alarm":"a","text":1})",
        R"({"alarm":"a","data":[]})",
        R"({"alarm":"a","x":1})",
        R"({"metric":"a","value":1} {"metric":"a","value":1})",
        "{\"metric\":\"\xff\",\"value\":1}",
        R"({"alarm":"a","data":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}})"}) {
    CAPTURE(line);
    const auto message = parse_local_line(line);
    REQUIRE_FALSE(message.has_value());
    CHECK_FALSE(message.error().empty());
  }
}

TEST_CASE("caps hold exactly") {
  const auto metric = [](std::size_t key, std::size_t value) {
    return R"({"metric":")" + std::string(key, 'k') + R"(","value":")" + std::string(value, 'v') +
           R"("})";
  };
  CHECK(parse_local_line(metric(key_bytes_max, value_bytes_max)).has_value());
  CHECK_FALSE(parse_local_line(metric(key_bytes_max + 1, 1)).has_value());
  CHECK_FALSE(parse_local_line(metric(1, value_bytes_max + 1)).has_value());
  const auto values = [](std::size_t count) {
    std::string line = R"({"values":{)";
    for (std::size_t index = 0; index < count; ++index) {
      line += (index > 0 ? ",\"k" : "\"k") + std::to_string(index) + "\":1";
    }
    return line + "}}";
  };
  CHECK(parse_local_line(values(line_values_max)).has_value());
  CHECK_FALSE(parse_local_line(values(line_values_max + 1)).has_value());
  const std::string padded = R"({"metric":"a","value":1})";
  CHECK(parse_local_line(padded + std::string(line_bytes_max - padded.size(), ' ')).has_value());
  CHECK_FALSE(
      parse_local_line(padded + std::string(line_bytes_max - padded.size() + 1, ' ')).has_value());
  CHECK(is_alarm_name(std::string(alarm_name_bytes_max, 'a')));
  CHECK_FALSE(is_alarm_name(std::string(alarm_name_bytes_max + 1, 'a')));
}

TEST_CASE("a good line cut at any byte is refused") {
  const std::string line =
      R"({"alarm":"overheat","severity":"info","data":{"a":[1,2]},"ts":1732536000000})";
  for (std::size_t size = 0; size < line.size(); ++size) {
    CHECK_FALSE(parse_local_line(std::string_view{line}.substr(0, size)).has_value());
  }
}

}  // namespace
