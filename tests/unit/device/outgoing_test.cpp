// What leaves: payloads as the gateway takes them, rows joined up to its caps, and waits in
// between.
#include "device/outgoing.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <limits>

#include "device/backoff.hpp"
#include "device/limits.hpp"

using namespace skerry;
using namespace skerry::agent;
using namespace std::chrono_literals;

namespace {

SpoolEntry entry(std::string body, std::optional<std::int64_t> ts = 1'732'536'000'000) {
  SpoolEntry made;
  made.body = std::move(body);
  if (ts) {
    made.time = wall_from_epoch(*ts);
  }
  return made;
}

TEST_CASE("rows of telemetry join in one message") {
  const std::vector<SpoolEntry> entries{
      entry(telemetry_record({{"a", Value{1.5}}, {"b", Value{std::string{"x\"y\n"}}}})),
      entry(telemetry_record({{"c", Value{true}}}), std::nullopt)};
  const auto message = telemetry_message("pump-7", entries);
  REQUIRE(message);
  CHECK(message->topic == "devices/pump-7/telemetry");
  CHECK(message->records == 2);
  CHECK(message->payload == R"([{"ts":1732536000000,"values":{"a":1.5,"b":"x\"y\u000a"}},)"
                            R"({"values":{"c":true}}])");
  CHECK_NOTHROW(boost::json::parse(message->payload));
}

TEST_CASE("no message has more values than the gateway takes") {
  Readings row;
  for (int index = 0; index < 300; ++index) {
    row.push_back({"k" + std::to_string(index), Value{std::int64_t{index}}});
  }
  const std::vector<SpoolEntry> entries(10, entry(telemetry_record(row)));
  CHECK(telemetry_message("d", entries)->records == batch_values_max / 300);
}

TEST_CASE("numbers that JSON cannot say are left out") {
  CHECK(json_object({{"a", Value{std::numeric_limits<double>::quiet_NaN()}},
                     {"b", Value{std::numeric_limits<double>::infinity()}},
                     {"c", Value{std::int64_t{-9}}}}) == R"({"c":-9})");
}

TEST_CASE("an alarm has a topic of its own") {
  const LocalAlarm alarm{"overheat", "critical", "91 degrees", R"({"limit":85})"};
  const auto message = alarm_message("pump-7", entry(alarm_record(alarm)));
  REQUIRE(message);
  CHECK(message->topic == "devices/pump-7/events/overheat");
  CHECK(message->payload == R"({"ts":1732536000000,"severity":"critical","text":"91 degrees",)"
                            R"("data":{"limit":85}})");
}

TEST_CASE("records that this agent has not written become no message") {
  CHECK_FALSE(telemetry_message("d", std::vector<SpoolEntry>{entry("")}));
  CHECK_FALSE(alarm_message("d", entry("no end of line")));
  CHECK_FALSE(alarm_message("d", entry("a/b\n{}")));
  CHECK_FALSE(alarm_message("d", entry("\n{}")));
}

TEST_CASE("waits grow to their maximum, are drawn from all of it, and start anew") {
  Backoff backoff{1s, 60s};
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  CHECK(backoff.next(0) == 0ms);
  CHECK(backoff.next(2000) == 2000ms);
  CHECK(backoff.next(2001) == 2001ms);  // of 0 to 4000
  for (int count = 0; count < 100; ++count) {
    CHECK(backoff.next(most - static_cast<std::uint64_t>(count)) <= 60s);
  }
  CHECK(backoff.next(60'000) == 60s);
  backoff.reset();
  CHECK(backoff.next(1000) == 1s);
  CHECK(backoff.next(2001) == 0ms);
  Milliseconds least = 60s;
  Milliseconds largest = 0s;
  Backoff full{60s, 60s};
  for (std::uint64_t draw = 0; draw < 1000; ++draw) {
    const Milliseconds wait = full.next(draw * 0x9e3779b97f4a7c15);
    least = std::min(least, wait);
    largest = std::max(largest, wait);
  }
  CHECK(least < 1s);
  CHECK(largest > 59s);
}

}  // namespace
