// Clients, version, health and the API's description against the endpoint table.
#include <doctest/doctest.h>

#include <cstddef>
#include <set>

#include "admin-api/backup_endpoints.hpp"
#include "admin-api/event_endpoints.hpp"
#include "admin-api/health.hpp"
#include "admin-api/openapi.hpp"
#include "admin-api/rest.hpp"
#include "twin/endpoints.hpp"
#include "unit/admin-api/admin_fixture.hpp"

using namespace skerry;
using namespace skerry::test;
using namespace skerry::admin_api;

namespace {

/// Routes of telemetry and of the live stream; nobody runs their handlers here.
http::EndpointTable other_routes(storage::ReaderPool& pool, EventHub& hub) {
  alignas(std::max_align_t) static char somewhere = 0;
  twin::TelemetryEndpointOptions options;
  options.store = reinterpret_cast<twin::SeriesStore*>(&somewhere);
  options.units = reinterpret_cast<const twin::UnitBook*>(&somewhere);
  options.audit = reinterpret_cast<plugin::AuditLog*>(&somewhere);
  options.pool = &pool;
  options.device_exists = [](std::string_view) { return false; };
  options.select_devices = [](const twin::DeviceSelection&, std::string_view, std::size_t) {
    return std::vector<twin::SelectedDevice>{};
  };
  http::EndpointTable table = twin::telemetry_endpoints(std::move(options));
  EventStreamOptions stream;
  stream.hub = &hub;
  stream.device_exists = [](std::string_view) { return false; };
  stream.parse_filter = [](std::string_view) -> Result<EventFilter, EventFilterError> {
    return EventFilterError{};
  };
  for (http::Endpoint& endpoint : event_endpoints(std::move(stream))) {
    table.push_back(std::move(endpoint));
  }
  for (http::Endpoint& endpoint :
       backup_endpoints({reinterpret_cast<backup::BackupService&>(somewhere), pool,
                         *reinterpret_cast<plugin::AuditLog*>(&somewhere)})) {
    table.push_back(std::move(endpoint));
  }
  return table;
}

/// The `$ref`s anywhere in a description.
void collect_references(const boost::json::value& value, std::set<std::string>& found) {
  if (value.is_object()) {
    for (const auto& [name, member] : value.get_object()) {
      if (name == "$ref") {
        found.insert(std::string{member.as_string()});
      } else {
        collect_references(member, found);
      }
    }
  } else if (value.is_array()) {
    for (const auto& item : value.get_array()) {
      collect_references(item, found);
    }
  }
}

}  // namespace

TEST_CASE("openapi.yaml and the endpoint table name the same operations with the same guards") {
  AdminFixture admin;
  http::EndpointTable table = admin.table;
  boost::asio::io_context io;
  EventHub hub(io);
  for (http::Endpoint& endpoint : other_routes(admin.readers, hub)) {
    table.push_back(std::move(endpoint));
  }
  const auto description = admin.json({"GET", "/api/v1/openapi.json"});
  CHECK(description.at("openapi").as_string() == "3.1.0");
  std::set<std::string> described;
  std::set<std::string> identifiers;
  for (const auto& [path, operations] : description.at("paths").as_object()) {
    for (const auto& [method, operation] : operations.as_object()) {
      std::string upper{method};
      for (char& c : upper) {
        c = static_cast<char>(c - 32);
      }
      const auto* security = operation.as_object().if_contains("security");
      const bool is_open = security != nullptr && security->as_array().empty();
      described.insert(upper + " " + std::string{path} + (is_open ? " open" : " token"));
      CHECK(identifiers.insert(std::string{operation.at("operationId").as_string()}).second);
      CHECK(operation.as_object().contains("responses"));
      CHECK((is_open || operation.at("responses").as_object().contains("401")));
    }
  }
  std::set<std::string> served;
  for (const http::Endpoint& endpoint : table) {
    served.insert(endpoint.method + " " + endpoint.route +
                  (endpoint.guard == http::Guard::none ? " open" : " token"));
  }
  CHECK(described == served);
}

TEST_CASE("every reference in openapi.yaml leads somewhere") {
  const boost::json::value description = admin_api::json_from_yaml(admin_api::openapi_yaml());
  std::set<std::string> references;
  collect_references(description, references);
  CHECK(references.size() > 10);
  for (const std::string& reference : references) {
    CAPTURE(reference);
    boost::json::error_code error;
    CHECK(description.find_pointer(reference.substr(1), error) != nullptr);
  }
}

TEST_CASE("YAML scalars keep their types") {
  const auto value = admin_api::json_from_yaml(
      "{a: 1, b: '1', c: true, d: null, e: 1.5, f: x y, g: [1, 'two'], '200': {h: -}}");
  CHECK(boost::json::serialize(value) ==
        R"({"a":1,"b":"1","c":true,"d":null,"e":1.5E0,"f":"x y","g":[1,"two"],"200":{"h":"-"}})");
}

TEST_CASE("clients are paged by owner and client id") {
  AdminFixture admin;
  for (const char* owner : {"device:a", "device:b", "user:x"}) {
    for (const char* id : {"", "1", "\xC3\xA4/\""}) {
      plugin::ClientInfo client;
      client.owner = owner;
      client.client_id = id;
      client.connected = *id != '\0';
      client.peer_address = "192.0.2.1:5";
      admin.view.clients.push_back(client);
    }
  }
  std::size_t seen = 0;
  std::string target = "/api/v1/clients?limit=2";
  for (;;) {
    const auto body = admin.json({"GET", target});
    for (const auto& item : body.at("items").as_array()) {
      CHECK(item.at("clientId").as_string() == admin.view.clients[seen].client_id);
      CHECK(item.at("peerAddress").is_null() == !admin.view.clients[seen].connected);
      ++seen;
    }
    if (body.at("next").is_null()) {
      break;
    }
    target = std::string{"/api/v1/clients?limit=2&cursor="} + body.at("next").as_string().c_str();
  }
  CHECK(seen == 9);
  CHECK(admin.json({"GET", "/api/v1/clients?owner=device:b"}).at("items").as_array().size() == 3);
  CHECK(admin.call({"GET", "/api/v1/clients?limit=1000"}).status == 400);
  CHECK(admin.call({"GET", "/api/v1/clients?cursor=ZGV2aWNlczph"}).status == 400);
}

TEST_CASE("the version is told") {
  AdminFixture admin;
  CHECK(admin.call({"GET", "/api/v1/system/version"}).body ==
        R"({"name":"skerryd","version":"1.2.3"})");
}

TEST_CASE("health says live and ready, and why not") {
  AdminFixture admin;
  std::vector<std::string> reasons;
  admin_api::HealthSources sources{admin.view, [] { return std::string{"skerry_up 1\n"}; },
                                   [&] { return reasons; }};
  admin.table = admin_api::health_endpoints(std::move(sources));
  for (const http::Endpoint& endpoint : admin.table) {
    CHECK(endpoint.guard == http::Guard::none);
  }
  const auto metrics = admin.call({"GET", "/metrics"});
  CHECK(metrics.body == "skerry_up 1\n");
  CHECK(metrics.content_type.starts_with("text/plain; version=0.0.4"));
  CHECK(admin.call({"GET", "/health/live"}).status == 200);
  CHECK(admin.call({"GET", "/health/ready"}).body == R"({"status":"ready"})");
  admin.view.alive = false;
  reasons.emplace_back("storage is being reopened");
  CHECK(admin.call({"GET", "/health/live"}).status == 503);
  const auto ready = admin.call({"GET", "/health/ready"});
  CHECK(ready.status == 503);
  CHECK(ready.body == R"({"status":"not ready","reasons":["storage is being reopened"]})");
}

TEST_CASE("times, cursors and entity tags are read and written exactly") {
  CHECK(format_time(wall_from_epoch(0)) == "1970-01-01T00:00:00.000Z");
  CHECK(format_time(wall_from_epoch(1'700'000'000'123)) == "2023-11-14T22:13:20.123Z");
  const std::string position("a\0\xff/", 4);
  CHECK(decode_cursor("x", encode_cursor("x", position)) == position);
  CHECK_FALSE(decode_cursor("y", encode_cursor("x", position)));
  CHECK_FALSE(decode_cursor("x", ""));
  CHECK(if_match_holds("*", "\"1\""));
  CHECK(if_match_holds("\"0\" , \"1\"", "\"1\""));
  CHECK_FALSE(if_match_holds("W/\"1\"", "\"1\""));
  CHECK_FALSE(if_match_holds("", "\"1\""));
  CHECK(if_none_match_names("*", "\"1\""));
  CHECK(if_none_match_names("\"0\", W/\"1\"", "\"1\""));
  CHECK_FALSE(if_none_match_names("W/\"10\"", "\"1\""));
}

TEST_CASE("one client is disconnected, one session removed, by names with any character") {
  AdminFixture admin;
  admin.view.clients.push_back(
      {.owner = "device:b", .client_id = "a/b:disconnect", .connected = true});
  const std::string path = "/api/v1/clients/device%3Ab/a%2Fb%3Adisconnect";
  CHECK(admin.call({"POST", path + ":disconnect"}).status == 204);
  CHECK(admin.view.disconnected == std::vector<std::string>{"device:b a/b:disconnect"});
  const auto again = admin.call({"POST", path + ":disconnect"});
  CHECK(again.status == 409);
  CHECK(code_of(again) == "client_not_connected");
  CHECK(admin.call({"DELETE", path}).status == 204);
  const auto gone = admin.call({"DELETE", path});
  CHECK(gone.status == 404);
  CHECK(code_of(gone) == "client_not_found");
  CHECK(admin.call({"POST", path + ":disconnect"}).status == 404);
}
