// The telemetry endpoints called without a socket: an io_context for the handler, a reader pool for
// the reads, the store in memory below.
#include "twin/endpoints.hpp"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <exception>

#include "storage/kv_store.hpp"
#include "twin/plain_series_store.hpp"

namespace skerry::twin {
namespace {

constexpr std::int64_t now_ms = 1'700'000'000'000;

struct World {
  std::unique_ptr<storage::MemoryStore> kv = storage::MemoryStore::create();
  PlainSeriesStore series{*kv};
  storage::ReaderPool pool{2};
  http::EndpointTable table = telemetry_endpoints(
      {&series, &pool, [](std::string_view device) { return device == "registered"; },
       [] { return wall_from_epoch(now_ms); }});

  void put(std::string_view device, std::vector<Sample> samples) {
    storage::Batch batch;
    series.append(device, samples, batch);
    REQUIRE(kv->write(batch, true).ok());
  }

  http::Response get(const std::string& route, http::Request request) {
    for (const http::Endpoint& endpoint : table) {
      if (endpoint.route == "/api/v1/devices/{id}/" + route) {
        return call(endpoint.handler, request);
      }
    }
    FAIL("no such route");
    return {};
  }

  static http::Response call(const http::Handler& handler, const http::Request& request) {
    // Static: another thread may still be on its way out of post() when the handler has run.
    static boost::asio::io_context io;
    io.restart();
    http::Response answer;
    boost::asio::co_spawn(io, handler(request),
                          [&answer](const std::exception_ptr& failure, http::Response response) {
                            CHECK(failure == nullptr);
                            answer = std::move(response);
                          });
    io.run();
    return answer;
  }
};

http::Request request_of(std::string device,
                         std::map<std::string, std::string, std::less<>> query = {}) {
  http::Request request;
  request.method = "GET";
  request.parameters = {{"id", std::move(device)}};
  request.query = std::move(query);
  return request;
}

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
  CHECK(body.at("detail").as_string() == "The parameter limit must be a number from 1 to 10000.");
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
    const FailingStore failing(code);
    world.table = telemetry_endpoints({&failing, &world.pool, [](std::string_view) { return true; },
                                       [] { return wall_from_epoch(now_ms); }});
    const int range = world.get("telemetry", request_of("d1")).status;
    CHECK(world.get("telemetry/latest", request_of("d1")).status == range);
    return range;
  };
  CHECK(status_with(storage::StatusCode::closed) == 503);
  CHECK(status_with(storage::StatusCode::corruption) == 500);
  CHECK(status_with(storage::StatusCode::io_error) == 500);
}

}  // namespace
}  // namespace skerry::twin
