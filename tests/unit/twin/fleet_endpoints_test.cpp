// The telemetry endpoints of many devices.
#include "unit/twin/endpoints_world.hpp"

namespace skerry::twin {
namespace {

using namespace test;

void fill_fleet(World& world) {
  for (int i = 0; i < 10; ++i) {
    world.put("f" + std::to_string(i), {{"t", 60'000, std::int64_t{i}, 0},
                                        {"t", 120'000, std::int64_t{10 * i}, 0},
                                        {"u", 60'000, true, 0}});
  }
}

TEST_CASE("newest samples of a fleet, page by page or all") {
  World world;
  fill_fleet(world);
  http::Request request;
  request.query = {{"keys", "t"}, {"limit", "4"}, {"filter", "f"}};
  std::string devices;
  for (int pages = 0; pages < 3; ++pages) {
    const auto body =
        boost::json::parse(world.ask("GET", "/api/v1/telemetry/latest", request).body);
    for (const auto& item : body.at("items").as_array()) {
      devices += std::string(item.at("device").as_string()) +
                 boost::json::serialize(item.at("value")) + " ";
    }
    CHECK(body.at("next").is_null() == (pages == 2));
    if (!body.at("next").is_null()) {
      request.query["cursor"] = std::string(body.at("next").as_string());
    }
  }
  CHECK(devices == "f00 f110 f220 f330 f440 f550 f660 f770 f880 f990 ");
  request.query = {{"filter", "("}};
  const http::Response refused = world.ask("GET", "/api/v1/telemetry/latest", request);
  CHECK(refused.status == 400);
  CHECK(refused.body.find("at byte 1: a bracket is not closed") != std::string::npos);
  request.query = {{"filter", "f1"}};
  request.headers["accept"] = "application/x-ndjson";
  const std::string lines = world.ask("GET", "/api/v1/telemetry/latest", request).body;
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 2);
}

TEST_CASE("a page of newest samples ends early when it takes too much memory") {
  World world;
  const std::string text(telemetry_string_bytes_max, 'x');
  std::vector<std::string> keys;
  for (int key = 0; key < 200; ++key) {
    keys.push_back("k" + std::to_string(key));
  }
  for (int device = 0; device < 10; ++device) {
    std::vector<Sample> samples;
    for (const std::string& key : keys) {
      samples.push_back({key, 60'000, std::string_view(text), 0});
    }
    world.put("f" + std::to_string(device), samples);
  }
  http::Request request;
  request.query = {{"limit", "10"}, {"filter", "f"}};
  std::size_t items = 0;
  int pages = 0;
  for (bool more = true; more; ++pages) {
    const http::Response response = world.ask("GET", "/api/v1/telemetry/latest", request);
    CHECK(response.body.size() < 2 * series_page_bytes_max);
    const auto body = boost::json::parse(response.body);
    items += body.at("items").as_array().size();
    more = !body.at("next").is_null();
    if (more) {
      request.query["cursor"] = std::string(body.at("next").as_string());
    }
  }
  CHECK(pages == 2);
  CHECK(items == 10 * keys.size());
}

TEST_CASE("a fleet is asked device by device and by groups") {
  World world;
  fill_fleet(world);
  CHECK(world.post(R"({"devices":["f2","f1","f1","other"],"keys":["t"]})", "text/csv").body ==
        "device,key,ts,value,flags\r\nf1,t,1970-01-01T00:01:00.000Z,1,\r\n"
        "f1,t,1970-01-01T00:02:00.000Z,10,\r\nf2,t,1970-01-01T00:01:00.000Z,2,\r\n"
        "f2,t,1970-01-01T00:02:00.000Z,20,\r\n");
  CHECK(world
            .post(R"({"filter":"f","keys":["t"],"step":"1h","agg":["max","count"]})",
                  "application/x-ndjson")
            .body.ends_with(R"({"device":"f9","key":"t","ts":"1970-01-01T00:00:00.000Z",)"
                            "\"max\":90,\"count\":2}\n"));
  CHECK(world
            .post(R"({"filter":"","keys":["t"],"step":"1m","agg":"sum,avg,count",)"
                  R"("groupBy":"parity","order":"desc"})",
                  "text/csv")
            .body ==
        "group,key,ts,sum,avg,count\r\neven,t,1970-01-01T00:02:00.000Z,200,40,5\r\n"
        "even,t,1970-01-01T00:01:00.000Z,20,4,5\r\nodd,t,1970-01-01T00:02:00.000Z,250,50,5\r\n"
        "odd,t,1970-01-01T00:01:00.000Z,25,5,5\r\n");
  CHECK(
      world
          .post(R"({"filter":"f","keys":["t"],"step":"1m","agg":"count","groupBy":"all",)"
                R"("from":0,"to":240000,"fill":"null"})")
          .body ==
      R"({"series":[{"group":"all","key":"t","buckets":[)"
      R"({"ts":"1970-01-01T00:00:00.000Z","count":0},{"ts":"1970-01-01T00:01:00.000Z","count":10},)"
      R"({"ts":"1970-01-01T00:02:00.000Z","count":10},)"
      R"({"ts":"1970-01-01T00:03:00.000Z","count":0}]}],"next":null})");
}

TEST_CASE("a query of a fleet says which field is wrong") {
  World world;
  const auto refused = [&world](const std::string& body, const std::string& accept = "") {
    const http::Response response = world.post(body, accept);
    CHECK(response.content_type.starts_with("application/problem+json"));
    const auto problem = boost::json::parse(response.body);
    const auto* errors = problem.as_object().if_contains("errors");
    return std::to_string(response.status) + " " + std::string(problem.at("code").as_string()) +
           (errors == nullptr ? "" : " " + std::string(errors->at(0).at("pointer").as_string()));
  };
  CHECK(refused("{") == "400 malformed_json");
  CHECK(refused("{}") == "422 invalid_field /filter");
  CHECK(refused(R"({"filter":"f","devices":["f1"]})") == "422 invalid_field /devices");
  CHECK(refused(R"({"devices":[]})") == "422 invalid_field /devices");
  CHECK(refused(R"({"devices":["a/b"]})") == "422 invalid_field /devices");
  CHECK(refused(R"({"filter":7})") == "422 invalid_field /filter");
  CHECK(refused(R"({"filter":"("})") == "422 invalid_filter /filter");
  CHECK(refused(R"({"filter":"f","colour":1})") == "422 unknown_field /colour");
  CHECK(refused(R"({"filter":"f","keys":[1]})") == "422 invalid_field /keys");
  CHECK(refused(R"({"filter":"f","from":"soon"})") == "422 invalid_field /from");
  CHECK(refused(R"({"filter":"f","step":5})") == "422 invalid_field /step");
  CHECK(refused(R"({"filter":"f","limit":5})") == "422 unknown_field /limit");
  CHECK(refused(R"({"filter":"f","groupBy":"parity"})") == "422 invalid_field /groupBy");
  CHECK(refused(R"({"filter":"f","step":"1m","groupBy":"colour"})") ==
        "422 invalid_filter /filter");
  CHECK(refused(R"({"filter":"f","step":"1m","agg":"last","groupBy":"parity"})") ==
        "422 invalid_field /agg");
  CHECK(refused(R"({"filter":"f","step":"1m","groupBy":"parity"})", "application/senml+json") ==
        "406 not_acceptable");
}

TEST_CASE("groups that need too much memory are refused with a way out") {
  World world;
  std::vector<Sample> samples;
  for (std::size_t i = 0; i <= group_cells_max; ++i) {
    samples.push_back({"t", static_cast<std::int64_t>(i), true, 0});
  }
  world.put("f1", samples);
  const http::Response response =
      world.post(R"({"filter":"f1","step":"1ms","groupBy":"all","agg":"count"})");
  CHECK(response.status == 422);
  CHECK(boost::json::parse(response.body).at("code").as_string() == "too_many_buckets");
}

}  // namespace
}  // namespace skerry::twin
