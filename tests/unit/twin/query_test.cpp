// Instants, parameters, cursors and Accept: from text to query and back.
#include "twin/query.hpp"

#include <doctest/doctest.h>

#include "twin/series_text.hpp"
#include "twin/time_text.hpp"

namespace skerry::twin {
namespace {

const WallTime now = wall_from_epoch(1'700'000'000'000);

http::Request request_of(std::map<std::string, std::string, std::less<>> query) {
  http::Request request;
  request.parameters = {{"id", "d1"}};
  request.query = std::move(query);
  return request;
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
  const auto query = read_series_query(request_of({}), now);
  REQUIRE(query.has_value());
  CHECK(query->device == "d1");
  CHECK(query->keys.empty());
  CHECK(query->from == INT64_MIN);
  CHECK_FALSE(query->to);
  CHECK(query->limit == 1000);
  CHECK_FALSE(query->descending);
}

TEST_CASE("all parameters are read") {
  const auto query = read_series_query(request_of({{"keys", "b,a\\,x,c\\\\,d\\e"},
                                                   {"from", "-1h"},
                                                   {"to", "1700000000000"},
                                                   {"limit", "10000"},
                                                   {"order", "desc"}}),
                                       now);
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
    const auto query = read_series_query(request_of({{each.name, each.value}}), now);
    REQUIRE(query.has_error());
    CHECK(query.error().parameter == each.name);
    CHECK_FALSE(query.error().detail.empty());
  }
  const auto swapped = read_series_query(request_of({{"from", "5"}, {"to", "4"}}), now);
  REQUIRE(swapped.has_error());
  CHECK(swapped.error().parameter == "to");
  CHECK(read_latest_query(request_of({{"from", "5"}}), now).has_error());
  CHECK(read_latest_query(request_of({{"limit", "0"}}), now).has_error());
  CHECK(read_latest_query(request_of({{"limit", "5"}}), now).has_value());
}

TEST_CASE("cursors read back, and no truncation or foreign text passes unharmed") {
  const SeriesPosition positions[] = {
      {"a", {}},
      {"temperature", SamplePlace{-5, 7}},
      {"é,x", SamplePlace{INT64_MIN, UINT64_MAX}},
      {std::string(telemetry_key_bytes_max, 'k'), SamplePlace{INT64_MAX, 0}},
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
  CHECK(accepted_form("text/html, application/x-ndjson;q=0.5, */*") == AnswerForm::ndjson);
  CHECK(accepted_form("text/csv;q=0, application/json") == AnswerForm::json);
  CHECK(accepted_form("text/csv;q=0.0, */*") == AnswerForm::json);
  CHECK_FALSE(accepted_form("image/png"));
  CHECK_FALSE(accepted_form(",;,"));
}

SeriesPage awkward_page() {
  SeriesPage page;
  page.series.push_back({"a\"b", {{0, 21.5, 0}, {1, std::int64_t{-3}, 1}, {2, true, 0}}});
  page.series.push_back({"c,d", {{3, std::string("x\"y\n\x01é"), 0}, {4, 1e300, 0}}});
  return page;
}

TEST_CASE("JSON escapes what it must and writes numbers as they came") {
  SeriesPage page = awkward_page();
  CHECK(series_text(page, AnswerForm::json) ==
        R"({"series":[{"key":"a\"b","samples":[{"ts":"1970-01-01T00:00:00.000Z","value":21.5},)"
        R"({"ts":"1970-01-01T00:00:00.001Z","value":-3,"flags":["clock_skew"]},)"
        R"({"ts":"1970-01-01T00:00:00.002Z","value":true}]},)"
        R"({"key":"c,d","samples":[{"ts":"1970-01-01T00:00:00.003Z","value":"x\"y\u000a\u0001é"},)"
        R"({"ts":"1970-01-01T00:00:00.004Z","value":1e+300}]}],"next":null})");
  page.series.clear();
  page.next = SeriesPosition{"k", {}};
  CHECK(series_text(page, AnswerForm::json) == R"({"series":[],"next":"01006b"})");
  CHECK(latest_text({}, AnswerForm::json) == R"({"items":[],"next":null})");
}

TEST_CASE("CSV quotes what it must") {
  CHECK(series_text(awkward_page(), AnswerForm::csv) ==
        "key,ts,value,flags\r\n"
        "\"a\"\"b\",1970-01-01T00:00:00.000Z,21.5,\r\n"
        "\"a\"\"b\",1970-01-01T00:00:00.001Z,-3,clock_skew\r\n"
        "\"a\"\"b\",1970-01-01T00:00:00.002Z,true,\r\n"
        "\"c,d\",1970-01-01T00:00:00.003Z,\"x\"\"y\n\x01é\",\r\n"
        "\"c,d\",1970-01-01T00:00:00.004Z,1e+300,\r\n");
}

TEST_CASE("NDJSON has a line per sample") {
  LatestPage page;
  page.items.push_back({"a", {0, 0.1, 0}});
  page.items.push_back({"b", {1, std::string("x"), 1}});
  CHECK(latest_text(page, AnswerForm::ndjson) ==
        "{\"key\":\"a\",\"ts\":\"1970-01-01T00:00:00.000Z\",\"value\":0.1}\n"
        "{\"key\":\"b\",\"ts\":\"1970-01-01T00:00:00.001Z\",\"value\":\"x\","
        "\"flags\":[\"clock_skew\"]}\n");
}

}  // namespace
}  // namespace skerry::twin
