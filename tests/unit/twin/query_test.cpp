// Instants, parameters, cursors and Accept: from text to query and back.
#include "twin/query.hpp"

#include <doctest/doctest.h>

#include "twin/time_text.hpp"

namespace skerry::twin {
namespace {

const WallTime now = wall_from_epoch(1'700'000'000'000);

Result<TelemetryQuery, QueryError> read(const Parameters& parameters) {
  return read_telemetry_query(parameters, now, 1000);
}

TEST_CASE("instants in every form") {
  struct Case {
    std::string_view text;
    std::int64_t expected;
  };
  const Case cases[] = {
      {"1700000000000", 1'700'000'000'000},
      {"0", 0},
      {"-1000", -1000},
      {"now", 1'700'000'000'000},
      {"-250ms", 1'699'999'999'750},
      {"-90s", 1'699'999'910'000},
      {"-1h", 1'699'996'400'000},
      {"-7d", 1'699'395'200'000},
      {"-2w", 1'698'790'400'000},
      {"1970-01-01T00:00:00Z", 0},
      {"2023-11-14T22:13:20Z", 1'700'000'000'000},
      {"2023-11-14t22:13:20.5z", 1'700'000'000'500},
      {"2023-11-14T22:13:20.123456789Z", 1'700'000'000'123},
      {"2023-11-15T00:13:20+02:00", 1'700'000'000'000},
      {"2023-11-15T00:13:20 02:00", 1'700'000'000'000},
      {"2023-11-14T16:43:20-05:30", 1'700'000'000'000},
      {"2024-02-29T00:00:00Z", 1'709'164'800'000},
      {"1969-12-31T23:59:59.999Z", -1},
      {"2016-12-31T23:59:60Z", 1'483'228'800'000},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    const auto instant = parse_instant(each.text, now);
    REQUIRE(instant);
    CHECK(*instant == each.expected);
  }
}

TEST_CASE("what is no instant is refused, and so is every truncation") {
  for (const std::string_view text : {"",
                                      "yesterday",
                                      "-",
                                      "-h",
                                      "-1",
                                      "-1x",
                                      "1h",
                                      "+1h",
                                      "-1234567890w",
                                      "1.5",
                                      "1e3",
                                      "99999999999999999999",
                                      "2023-11-14",
                                      "2023-11-14T22:13:20",
                                      "2023-13-14T22:13:20Z",
                                      "2023-02-29T00:00:00Z",
                                      "0000-01-01T00:00:00Z",
                                      "2023-11-14T24:00:00Z",
                                      "2023-11-14T22:60:00Z",
                                      "2023-11-14T22:13:20.Z",
                                      "2023-11-14T22:13:20Zx",
                                      "2023-11-14T22:13:20+2:00",
                                      "2023-11-14T22:13:20+24:00",
                                      "nowish",
                                      " 5"}) {
    CAPTURE(text);
    CHECK((text == "-1" || !parse_instant(text, now)));
  }
  const std::string_view whole = "2023-11-15T00:13:20.123+02:00";
  for (std::size_t size = 5; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse_instant(whole.substr(0, size), now));
  }
}

TEST_CASE("RFC 3339 is written with milliseconds and reads back") {
  for (const std::int64_t instant :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1'700'000'000'007}, timestamp_min,
        timestamp_max}) {
    std::string text;
    append_rfc3339(text, instant);
    CAPTURE(text);
    CHECK(parse_instant(text, now) == instant);
  }
  std::string text;
  append_rfc3339(text, -1);
  append_rfc3339(text, INT64_MAX);
  append_rfc3339(text, INT64_MIN);
  CHECK(text == "1969-12-31T23:59:59.999Z9999-12-31T23:59:59.999Z0001-01-01T00:00:00.000Z");
}

TEST_CASE("a query without parameters asks for everything from the oldest") {
  const auto query = read({});
  REQUIRE(query.has_value());
  CHECK(query->keys.empty());
  CHECK(query->from == INT64_MIN);
  CHECK_FALSE(query->to);
  CHECK(query->limit == 1000);
  CHECK_FALSE(query->descending);
}

TEST_CASE("all parameters are read") {
  const auto query = read({{"keys", "b,a\\,x,c\\\\,d\\e"},
                           {"from", "-1h"},
                           {"to", "1700000000000"},
                           {"limit", "10000"},
                           {"order", "desc"}});
  REQUIRE(query.has_value());
  CHECK(query->keys == std::vector<std::string>{"b", "a,x", "c\\", "d\\e"});
  CHECK(query->from == 1'699'996'400'000);
  CHECK(query->to == 1'700'000'000'000);
  CHECK(query->limit == 10'000);
  CHECK(query->descending);
}

TEST_CASE("a wrong parameter is named") {
  struct Case {
    const char* name;
    std::string value;
  };
  std::string many = "k";
  for (std::size_t i = 0; i < series_query_keys_max; ++i) {
    many += ",k";
  }
  const Case cases[] = {
      {"limit", "0"},
      {"limit", "10001"},
      {"limit", "ten"},
      {"limit", "-1"},
      {"limit", ""},
      {"limit", "5x"},
      {"from", "tomorrow"},
      {"to", ""},
      {"order", "ASC"},
      {"order", ""},
      {"cursor", ""},
      {"cursor", "zz"},
      {"cursor", "0102"},
      {"keys", ""},
      {"keys", "a,,b"},
      {"keys", "a,"},
      {"keys", many},
      {"keys", std::string(telemetry_key_bytes_max + 1, 'k')},
      {"keys", std::string("a\0b", 3)},
      {"form", "-1h"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.name);
    CAPTURE(each.value);
    const auto query = read({{each.name, each.value}});
    REQUIRE(query.has_error());
    CHECK(query.error().parameter == each.name);
    CHECK_FALSE(query.error().detail.empty());
  }
  const auto swapped = read({{"from", "5"}, {"to", "4"}});
  REQUIRE(swapped.has_error());
  CHECK(swapped.error().parameter == "to");
  CHECK(read_latest_parameters({{"from", "5"}}, 1000).has_error());
  CHECK(read_latest_parameters({{"limit", "0"}}, 1000).has_error());
  CHECK(read_latest_parameters({{"limit", "5"}}, 1000).has_value());
}

TEST_CASE("a cursor with a time that nothing can have is not one of ours") {
  const auto with_time = [](std::int64_t time) {
    return decode_cursor(encode_cursor({"t", SamplePlace{time, 0}})).has_value();
  };
  CHECK(with_time(timestamp_max));
  // The bucket that holds the first time of all may begin before it.
  CHECK(with_time(timestamp_min - series_step_max));
  CHECK_FALSE(with_time(INT64_MIN));
  CHECK_FALSE(with_time(INT64_MAX));
  CHECK_FALSE(with_time(timestamp_max + 1));
}

TEST_CASE("cursors read back, and no truncation or foreign text passes unharmed") {
  const SeriesPosition positions[] = {
      {"a", {}},
      {"temperature", SamplePlace{-5, 7}},
      {"é,x", SamplePlace{timestamp_min, UINT64_MAX}},
      {std::string(telemetry_key_bytes_max, 'k'), SamplePlace{timestamp_max, 0}},
  };
  for (const SeriesPosition& position : positions) {
    const std::string text = encode_cursor(position);
    const auto back = decode_cursor(text);
    REQUIRE(back);
    CHECK(back->key == position.key);
    CHECK(back->after.has_value() == position.after.has_value());
    if (position.after) {
      CHECK(back->after->timestamp == position.after->timestamp);
      CHECK(back->after->tie == position.after->tie);
    }
    for (std::size_t size = 0; size < text.size(); ++size) {
      const auto cut = decode_cursor(text.substr(0, size));
      CHECK((!cut || cut->key.size() < position.key.size()));
    }
    CHECK_FALSE(decode_cursor(text + "0"));
  }
  for (const std::string_view text : {"0", "00", "0200", "010261", "010061ZZ", "01006100"}) {
    CHECK_FALSE(decode_cursor(text));
  }
  CHECK_FALSE(decode_cursor(std::string(100'000, '0')));
}

TEST_CASE("Accept chooses the form") {
  CHECK(accepted_form("") == AnswerForm::json);
  CHECK(accepted_form("*/*") == AnswerForm::json);
  CHECK(accepted_form("application/json") == AnswerForm::json);
  CHECK(accepted_form("Text/CSV; header=present") == AnswerForm::csv);
  CHECK(accepted_form("application/senml+json") == AnswerForm::senml);
  CHECK(accepted_form("text/html, application/x-ndjson;q=0.5, */*") == AnswerForm::ndjson);
  CHECK(accepted_form("text/csv;q=0, application/json") == AnswerForm::json);
  CHECK(accepted_form("text/csv;q=0.0, */*") == AnswerForm::json);
  CHECK_FALSE(accepted_form("image/png"));
  CHECK_FALSE(accepted_form(",;,"));
}

TEST_CASE("buckets, their aggregates and their filling are read") {
  auto query = read({{"step", "5m"}});
  REQUIRE(query.has_value());
  CHECK(query->step == 300'000);
  CHECK(query->aggregates == std::vector{AggregateKind::average});
  query = read({{"step", "1d"}, {"agg", "max,count,first"}, {"limit", "all"}});
  REQUIRE(query.has_value());
  CHECK(query->aggregates ==
        std::vector{AggregateKind::maximum, AggregateKind::count, AggregateKind::first});
  CHECK_FALSE(query->limit);
  query = read({{"step", "1h"}, {"fill", "prev"}, {"from", "-1d"}});
  REQUIRE(query.has_value());
  CHECK(query->fill == Fill::previous);
  CHECK_FALSE(query->limit);
  CHECK(query->to == 1'700'000'000'000);
  CHECK(read({{"step", "1h"}, {"fill", "none"}}).has_value());

  const auto wrong = [](const Parameters& parameters) {
    const auto refused = read(parameters);
    REQUIRE(refused.has_error());
    return refused.error().parameter + ": " + refused.error().detail;
  };
  for (const char* step : {"", "5", "0s", "m", "-5m", "367d", "1.5h", "9999999999s"}) {
    CAPTURE(step);
    CHECK(wrong({{"step", step}}) == "step: must be a time like 90s, 5m, 1h or 1d, up to 366d");
  }
  CHECK(wrong({{"agg", "avg"}}) == "agg: needs step, the length of a bucket");
  CHECK(wrong({{"step", "1m"}, {"agg", "mean"}}).starts_with("agg: may name"));
  CHECK(wrong({{"step", "1m"}, {"agg", ""}}).starts_with("agg: may name"));
  CHECK(wrong({{"step", "1m"}, {"agg", "avg,avg"}}) == "agg: names one twice");
  CHECK(wrong({{"step", "1m"}, {"fill", "zero"}, {"from", "0"}}).starts_with("fill: must be"));
  CHECK(wrong({{"fill", "null"}, {"from", "0"}}) == "fill: needs step and from");
  CHECK(wrong({{"fill", "null"}, {"step", "1m"}}) == "fill: needs step and from");
  CHECK(wrong({{"fill", "null"}, {"step", "1m"}, {"from", "-1h"}, {"limit", "5"}})
            .starts_with("fill: goes with the whole range"));
  CHECK(wrong({{"fill", "null"}, {"step", "1ms"}, {"from", "-1h"}}) ==
        "step: is too small for the range: more than 1000000 buckets would be filled");
  CHECK(wrong({{"fill", "null"},
               {"step", "1d"},
               {"from", "-9223372036854775808"},
               {"to", "9223372036854775807"}})
            .starts_with("step: is too small"));
}

TEST_CASE("what shall be erased is read") {
  auto erase = read_erase_parameters({}, now);
  REQUIRE(erase.has_value());
  CHECK_FALSE(erase->key);
  CHECK(erase->from == INT64_MIN);
  CHECK_FALSE(erase->to);
  erase = read_erase_parameters({{"key", "a,b"}, {"from", "-1h"}, {"to", "now"}}, now);
  REQUIRE(erase.has_value());
  CHECK(erase->key == "a,b");
  CHECK(erase->to == 1'700'000'000'000);
  CHECK(read_erase_parameters({{"keys", "a"}}, now).error().parameter == "keys");
  CHECK(read_erase_parameters({{"key", ""}}, now).error().parameter == "key");
  CHECK(read_erase_parameters({{"from", "soon"}}, now).error().parameter == "from");
}

}  // namespace
}  // namespace skerry::twin
