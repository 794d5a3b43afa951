// The telemetry endpoints of one device.
#include "unit/twin/endpoints_world.hpp"

namespace skerry::twin {
namespace {

using namespace test;

TEST_CASE("latest answers every key once, sorted") {
  World world;
  world.put("d1", {{"temperature", now_ms - 1000, 21.5, 0},
                   {"temperature", now_ms - 2000, 20.0, 0},
                   {"mode", now_ms, std::string_view("auto"), 0},
                   {"old", 5, std::int64_t{1}, sample_flag(SampleFlag::clock_skew)}});
  const http::Response response = world.get("telemetry/latest", request_of("d1"));
  CHECK(response.status == 200);
  CHECK(response.content_type == "application/json");
  CHECK(response.body ==
        R"({"items":[{"key":"mode","ts":"2023-11-14T22:13:20.000Z","value":"auto"},)"
        R"({"key":"old","ts":"1970-01-01T00:00:00.005Z","value":1,"flags":["clock_skew"]},)"
        R"({"key":"temperature","ts":"2023-11-14T22:13:19.000Z","value":21.5}],"next":null})");
}

TEST_CASE("latest goes on by its cursor") {
  World world;
  world.put("d1", {{"a", 1, true, 0}, {"b", 1, true, 0}, {"c", 1, true, 0}});
  std::string keys;
  std::string cursor;
  for (int pages = 0; pages < 3; ++pages) {
    auto request = request_of("d1", {{"limit", "1"}});
    if (!cursor.empty()) {
      request.query["cursor"] = cursor;
    }
    const auto body = boost::json::parse(world.get("telemetry/latest", request).body);
    keys += std::string(body.at("items").at(0).at("key").as_string());
    cursor = body.at("next").is_null() ? "" : std::string(body.at("next").as_string());
    CHECK(cursor.empty() == (pages == 2));
  }
  CHECK(keys == "abc");
}

TEST_CASE("a range is answered in order and page by page") {
  World world;
  std::vector<Sample> samples;
  for (int i = 0; i < 25; ++i) {
    samples.push_back({"n", now_ms - i * 1000, std::int64_t{i}, 0});
  }
  world.put("d1", samples);
  auto request = request_of(
      "d1",
      {{"keys", "n,none"}, {"from", "-20s"}, {"to", "now"}, {"limit", "7"}, {"order", "desc"}});
  std::vector<std::int64_t> values;
  for (int pages = 0; pages < 10; ++pages) {
    const http::Response response = world.get("telemetry", request);
    REQUIRE(response.status == 200);
    const auto body = boost::json::parse(response.body);
    for (const auto& sample : body.at("series").at(0).at("samples").as_array()) {
      values.push_back(sample.at("value").as_int64());
    }
    if (body.at("next").is_null()) {
      break;
    }
    request.query["cursor"] = std::string(body.at("next").as_string());
  }
  std::vector<std::int64_t> expected;
  for (std::int64_t i = 1; i <= 20; ++i) {
    expected.push_back(i);
  }
  CHECK(values == expected);
}

TEST_CASE("CSV and NDJSON by Accept, their cursor in a header") {
  World world;
  world.put("d1", {{"a", 0, 1.5, 0}, {"a", 1, 2.5, 0}});
  auto request = request_of("d1", {{"limit", "1"}});
  request.headers["accept"] = "text/csv";
  http::Response response = world.get("telemetry", request);
  CHECK(response.content_type.starts_with("text/csv"));
  CHECK(response.body == "key,ts,value,flags\r\na,1970-01-01T00:00:00.000Z,1.5,\r\n");
  std::string cursor;
  for (const auto& [name, value] : response.headers) {
    cursor = name == "Skerry-Next-Cursor" ? value : cursor;
  }
  REQUIRE_FALSE(cursor.empty());
  request.query["cursor"] = cursor;
  request.headers["accept"] = "application/x-ndjson";
  response = world.get("telemetry", request);
  CHECK(response.body == "{\"key\":\"a\",\"ts\":\"1970-01-01T00:00:00.001Z\",\"value\":2.5}\n");
  request.headers["accept"] = "image/png";
  CHECK(world.get("telemetry", request).status == 406);
}

TEST_CASE("who is neither registered nor has data is not found") {
  World world;
  for (const std::string route : {"telemetry", "telemetry/latest"}) {
    CAPTURE(route);
    CHECK(world.get(route, request_of("nobody")).status == 404);
    CHECK(world.get(route, request_of("no/body")).status == 404);
    CHECK(world.get(route, request_of("")).status == 404);
    const http::Response response = world.get(route, request_of("nobody"));
    CHECK(boost::json::parse(response.body).at("code").as_string() == "device_not_found");
    CHECK(world.get(route, request_of("registered")).status == 200);
  }
  world.put("retired", {{"a", 1, true, 0}});
  CHECK(world.get("telemetry/latest", request_of("retired")).status == 200);
  CHECK(world.get("telemetry", request_of("retired", {{"from", "5"}})).status == 200);
}

TEST_CASE("a bad parameter is a problem that points at it") {
  World world;
  const http::Response response =
      world.get("telemetry", request_of("registered", {{"limit", "10001"}}));
  CHECK(response.status == 400);
  CHECK(response.content_type.starts_with("application/problem+json"));
  const auto body = boost::json::parse(response.body);
  CHECK(body.at("code").as_string() == "invalid_parameter");
  CHECK(response.body.find("/query/limit") != std::string::npos);
  CHECK(body.at("detail").as_string() ==
        "The parameter limit must be a number from 1 to 10000 or all.");
}

/// A store whose reads end as told.
class FailingStore final : public SeriesStore {
 public:
  explicit FailingStore(storage::StatusCode code) : status_{code, "told so"} {}
  AppendResult append(std::string_view, std::span<const Sample>, storage::Batch&) override {
    return AppendResult::stored;
  }
  void erase(const SeriesErase&, storage::Batch&) override {}
  void erase_device(std::string_view, storage::Batch&) override {}
  Result<SeriesPage, storage::Status> query(const SeriesQuery&) const override { return status_; }
  Result<AggregatePage, storage::Status> aggregate(const AggregateQuery&) const override {
    return status_;
  }
  Result<LatestPage, storage::Status> latest(const LatestQuery&) const override { return status_; }
  Result<FleetLatestPage, storage::Status> latest_of(const FleetLatestQuery&) const override {
    return status_;
  }
  Result<bool, storage::Status> has_data(std::string_view) const override { return status_; }

 private:
  storage::Status status_;
};

TEST_CASE("a store that cannot be read is a problem, not an empty answer") {
  World world;
  const auto status_with = [&world](storage::StatusCode code) {
    FailingStore failing(code);
    TelemetryEndpointOptions options = world.options();
    options.store = &failing;
    world.table = telemetry_endpoints(options);
    const int range = world.get("telemetry", request_of("d1")).status;
    CHECK(world.get("telemetry/latest", request_of("d1")).status == range);
    return range;
  };
  CHECK(status_with(storage::StatusCode::closed) == 503);
  CHECK(status_with(storage::StatusCode::corruption) == 500);
  CHECK(status_with(storage::StatusCode::io_error) == 500);
}

TEST_CASE("any range is streamed in pieces, every sample once") {
  World world;
  constexpr int count = 30'000;
  std::vector<Sample> samples;
  for (int i = 0; i < count; ++i) {
    samples.push_back({"n", now_ms + i, std::int64_t{i}, 0});
  }
  world.put("d1", samples);
  auto request = request_of("d1", {{"keys", "n"}});
  request.headers["accept"] = "text/csv";
  const http::Response csv = world.get("telemetry", request);
  REQUIRE(csv.stream);
  Writer writer;
  World::run<int>(World::drain(csv, writer));
  CHECK(std::count(writer.text.begin(), writer.text.end(), '\n') == count + 1);
  CHECK(writer.largest < 300 * 1024);
  CHECK(writer.text.ends_with(",29999,\r\n"));

  request.headers["accept"] = "application/json";
  request.query["limit"] = "all";
  const auto json = boost::json::parse(World::text_of(world.get("telemetry", request)));
  CHECK(json.at("series").at(0).at("samples").as_array().size() == count);
  CHECK(json.at("next").is_null());

  request.headers["accept"] = "application/x-ndjson";
  const http::Response cut = world.get("telemetry", request);
  Writer gone;
  gone.stop_after = 3;
  World::run<int>(World::drain(cut, gone));
  CHECK(gone.writes == 3);
}

TEST_CASE("buckets with several aggregates, filled and in pages") {
  World world;
  for (int i = 0; i < 12; ++i) {
    if (i != 5) {
      world.put("d1", {{"t", 600'000 + i * 60'000, i + 0.5, 0}});
    }
  }
  auto request = request_of("d1", {{"step", "2m"}, {"agg", "min,count"}, {"limit", "2"}});
  std::string starts;
  // How many buckets make a page is the store's to say, up to the limit.
  for (bool more = true; more;) {
    const auto body = boost::json::parse(world.get("telemetry", request).body);
    for (const auto& bucket : body.at("series").at(0).at("buckets").as_array()) {
      starts += std::string(bucket.at("ts").as_string()).substr(14, 2) + ":" +
                boost::json::serialize(bucket.at("count")) + " ";
    }
    more = !body.at("next").is_null();
    if (more) {
      request.query["cursor"] = std::string(body.at("next").as_string());
    }
  }
  CHECK(starts == "10:2 12:2 14:1 16:2 18:2 20:2 ");

  request = request_of(
      "d1",
      {{"step", "1m"}, {"agg", "avg"}, {"fill", "linear"}, {"from", "840000"}, {"to", "1020000"}});
  request.headers["accept"] = "text/csv";
  CHECK(world.get("telemetry", request).body ==
        "key,ts,avg\r\nt,1970-01-01T00:14:00.000Z,4.5\r\nt,1970-01-01T00:15:00.000Z,5.5\r\n"
        "t,1970-01-01T00:16:00.000Z,6.5\r\n");
}

TEST_CASE("keys come with type and unit, SenML with its unit") {
  World world;
  world.put("d1", {{"t", now_ms, 1.5, 0}, {"mode", now_ms, std::string_view("x"), 0}});
  storage::Batch batch;
  UnitWriter writer;
  const Sample sample{"t", now_ms, 1.5, 0};
  const std::string_view unit = "Cel";
  writer.write("d1", {&sample, 1}, {&unit, 1}, wall_from_epoch(now_ms), batch);
  REQUIRE(world.kv->write(batch, true).ok());
  CHECK(world.get("telemetry/keys", request_of("d1")).body ==
        R"({"items":[{"key":"mode","type":"string","lastTs":"2023-11-14T22:13:20.000Z"},)"
        R"({"key":"t","type":"number","unit":"Cel","lastTs":"2023-11-14T22:13:20.000Z"}],)"
        R"("next":null})");
  auto request = request_of("d1", {{"keys", "t"}});
  request.headers["accept"] = "application/senml+json";
  const std::string pack =
      R"([{"bn":"urn:skerry:device:d1:","n":"t","u":"Cel","t":1700000000,"v":1.5}])";
  CHECK(world.get("telemetry", request).body == pack);
  CHECK(world.get("telemetry/latest", request).body == pack);
  CHECK(world.get("telemetry/keys", request_of("nobody")).status == 404);
}

TEST_CASE("what is erased is recorded, and only that is gone") {
  World world;
  for (const std::int64_t ts : {now_ms - 2000, now_ms - 1000}) {
    world.put("d1", {{"a", ts, true, 0}, {"b/c", ts, true, 0}});
  }
  const auto count = [&world] {
    auto request = request_of("d1");
    request.headers["accept"] = "application/x-ndjson";
    const std::string body = world.get("telemetry", request).body;
    return std::count(body.begin(), body.end(), '\n');
  };
  auto request = request_of("d1", {{"key", "a"}, {"from", "-2s"}, {"to", "-1s"}});
  request.principal = "user:admin";
  request.peer_address = "192.0.2.1";
  const std::string range = "/api/v1/devices/{id}/telemetry";
  CHECK(world.ask("DELETE", range, request).status == 204);
  CHECK(count() == 3);
  CHECK(world.units_erased == 0);
  REQUIRE(world.audit.events.size() == 1);
  CHECK(world.audit.events[0].actor == "user:admin");
  CHECK(world.audit.events[0].action == "telemetry.delete");
  CHECK(world.audit.events[0].object == "device:d1");
  CHECK(world.audit.events[0].detail == "key a, from 1699999998000, to 1699999999000");

  request = request_of("d1");
  request.parameters["key"] = "b/c";
  CHECK(world.ask("DELETE", range + "/keys/{key}", request).status == 204);
  CHECK(count() == 1);
  CHECK(world.units_erased == 1);
  CHECK(world.ask("DELETE", range, request_of("d1")).status == 204);
  CHECK(count() == 0);
  CHECK(world.audit.events.size() == 3);
  CHECK(world.ask("DELETE", range, request_of("d1")).status == 404);
  CHECK(world.ask("DELETE", range, request_of("registered")).status == 204);
  CHECK(world.ask("DELETE", range, request_of("registered", {{"keys", "a"}})).status == 400);
  request.parameters["key"] = std::string(telemetry_key_bytes_max + 1, 'k');
  CHECK(world.ask("DELETE", range + "/keys/{key}", request).status == 404);

  world.kv->fail_write(1, storage::StatusCode::io_error);
  CHECK(world.ask("DELETE", range, request_of("registered")).status == 503);
}

}  // namespace
}  // namespace skerry::twin
