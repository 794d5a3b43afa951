// What the tests of the telemetry endpoints share: an io_context for the handler, a reader pool for
// the reads, the store in memory below. No sockets.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <exception>

#include "storage/committer.hpp"
#include "storage/kv_store.hpp"
#include "twin/endpoints.hpp"
#include "unit/twin/series_options.hpp"

namespace skerry::twin::test {

inline constexpr std::int64_t now_ms = 1'700'000'000'000;

/// Stores, and keeps what was told.
class NotingAudit final : public plugin::AuditLog {
 public:
  explicit NotingAudit(storage::Committer& committer) : plain_(committer) {}
  void submit(storage::Batch batch, plugin::AuditEvent event,
              storage::Committer::Done done) override {
    events.push_back(event);
    plain_.submit(std::move(batch), std::move(event), std::move(done));
  }
  void note(plugin::AuditEvent) override {}
  void refused(const plugin::Refusal&) noexcept override {}
  std::vector<plugin::AuditEvent> events;

 private:
  plugin::PlainAudit plain_;
};

/// Gathers a stream; says after `stop_after` writes that the peer has gone.
class Writer final : public http::BodyWriter {
 public:
  boost::asio::awaitable<bool> write(std::string_view chunk) override {
    text.append(chunk);
    largest = std::max(largest, chunk.size());
    co_return ++writes < stop_after;
  }
  std::string text;
  std::size_t largest = 0;
  int writes = 0;
  int stop_after = 1'000'000;
};

struct World {
  std::unique_ptr<storage::MemoryStore> kv = storage::MemoryStore::create();
  series::ChunkSeriesStore series{series_options(*kv)};
  UnitBook units{*kv};
  storage::ReaderPool pool{2};
  storage::Committer committer{*kv, {}};
  NotingAudit audit{committer};
  int units_erased = 0;
  http::EndpointTable table = telemetry_endpoints(options());

  TelemetryEndpointOptions options() {
    TelemetryEndpointOptions out;
    out.store = &series;
    out.units = &units;
    out.pool = &pool;
    out.audit = &audit;
    out.device_exists = [](std::string_view device) { return device == "registered"; };
    out.select_devices = &select;
    out.units_erased = [this] { ++units_erased; };
    out.clock = [] { return wall_from_epoch(now_ms); };
    return out;
  }

  /// f0 … f9, in the groups "even" and "odd"; the filter is one letter that ids begin with.
  static Result<std::vector<SelectedDevice>, SelectionError> select(
      const DeviceSelection& selection, std::string_view after, std::size_t limit) {
    if (selection.filter == "(") {
      return SelectionError{1, "a bracket is not closed"};
    }
    if (!selection.group_by.empty() && selection.group_by != "parity") {
      return SelectionError{0, "there is no field to group by"};
    }
    std::vector<SelectedDevice> found;
    for (int i = 0; i < 10 && found.size() < limit; ++i) {
      const std::string id = "f" + std::to_string(i);
      const bool named = std::find(selection.devices.begin(), selection.devices.end(), id) !=
                         selection.devices.end();
      if (id > after && (selection.devices.empty() || named) && id.starts_with(selection.filter)) {
        found.push_back({id, {i % 2 == 0 ? "even" : "odd"}});
      }
    }
    return found;
  }

  void put(std::string_view device, std::vector<Sample> samples) {
    storage::Batch batch;
    series.append(device, samples, batch);
    REQUIRE(kv->write(batch, true).ok());
  }

  http::Response get(const std::string& route, http::Request request) {
    return ask("GET", "/api/v1/devices/{id}/" + route, std::move(request));
  }

  http::Response ask(const std::string& method, const std::string& route, http::Request request) {
    for (const http::Endpoint& endpoint : table) {
      if (endpoint.method == method && endpoint.route == route) {
        return run<http::Response>(endpoint.handler(request));
      }
    }
    FAIL("no such route");
    return {};
  }

  http::Response post(const std::string& body, const std::string& accept = "") {
    http::Request request;
    request.method = "POST";
    request.body = body;
    request.headers["accept"] = accept;
    return ask("POST", "/api/v1/telemetry:query", request);
  }

  /// The whole text of an answer, streamed or not.
  static std::string text_of(const http::Response& response, Writer&& writer = {}) {
    if (!response.stream) {
      return response.body;
    }
    run<int>(drain(response, writer));
    return writer.text;
  }

  static boost::asio::awaitable<int> drain(const http::Response& response, Writer& writer) {
    co_await response.stream(writer);
    co_return writer.writes;
  }

  template <typename T>
  static T run(boost::asio::awaitable<T> work) {
    // Static: another thread may still be on its way out of post() when the handler has run.
    static boost::asio::io_context io;
    io.restart();
    T answer{};
    boost::asio::co_spawn(io, std::move(work),
                          [&answer](const std::exception_ptr& failure, T value) {
                            CHECK(failure == nullptr);
                            answer = std::move(value);
                          });
    io.run();
    return answer;
  }
};

inline http::Request request_of(std::string device,
                                std::map<std::string, std::string, std::less<>> query = {}) {
  http::Request request;
  request.method = "GET";
  request.parameters = {{"id", std::move(device)}};
  request.query = std::move(query);
  return request;
}

}  // namespace skerry::twin::test
