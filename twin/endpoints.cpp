#include "twin/endpoints.hpp"

#include <algorithm>
#include <memory>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "http/await.hpp"
#include "twin/deliver.hpp"
#include "twin/device_topic.hpp"
#include "twin/keys_answer.hpp"
#include "twin/query.hpp"
#include "twin/query_body.hpp"

namespace skerry::twin {
namespace {

using Context = std::shared_ptr<const TelemetryEndpointOptions>;
using boost::asio::awaitable;

constexpr std::size_t json_page_rows = 1'000;
constexpr std::size_t query_body_bytes_max = 256 * 1024;
/// What `groupBy` calls one group of all devices.
constexpr std::string_view group_of_all = "all";

http::Response invalid_parameter(const QueryError& error) {
  return http::problem(400, "invalid_parameter",
                       "The parameter " + error.parameter + " " + error.detail + ".",
                       "/query/" + error.parameter);
}

http::Response not_acceptable() {
  return http::problem(406, "not_acceptable",
                       "Telemetry is answered as application/json, application/x-ndjson, text/csv "
                       "or application/senml+json.");
}

http::Response invalid_selection(const SelectionError& error, bool in_body) {
  return http::problem(
      in_body ? 422 : 400, "invalid_filter",
      "The filter is wrong at byte " + std::to_string(error.offset) + ": " + error.what + ".",
      in_body ? "/filter" : "/query/filter");
}

std::string parameter_of(const http::Request& request, std::string_view name) {
  const auto it = request.parameters.find(name);
  return it == request.parameters.end() ? std::string{} : it->second;
}

/// JSON is paged unless it asks for all, the line formats are streamed unless they ask for a page.
std::optional<std::size_t> limit_default(AnswerForm form) {
  return form == AnswerForm::json ? std::optional(json_page_rows) : std::nullopt;
}

AnswerSources sources_of(const TelemetryEndpointOptions& options) {
  return {*options.store, *options.units};
}

RowShape shape_of(const TelemetryEndpointOptions& options, AnswerForm form) {
  RowShape shape;
  shape.form = form;
  shape.now = epoch_milliseconds(options.clock());
  return shape;
}

/// The device of the route, or the answer that it cannot be one.
struct RouteDevice {
  std::string id;
  bool possible = false;
  bool registered = false;
};

RouteDevice route_device(const TelemetryEndpointOptions& options, const http::Request& request) {
  RouteDevice device{parameter_of(request, "id"), false, false};
  device.possible = is_device_id(device.id);
  device.registered = device.possible && options.device_exists(device.id);
  return device;
}

Delivery delivery_of(AnswerForm form, bool whole, const RouteDevice& device) {
  return {form, whole, device.registered ? std::string{} : device.id};
}

awaitable<http::Response> device_query(Context context, const http::Request& request) {
  const auto form = accepted_form(request.header("accept"));
  if (!form) {
    co_return not_acceptable();
  }
  auto query = read_telemetry_query(request.query, context->clock(), limit_default(*form));
  if (query.has_error()) {
    co_return invalid_parameter(query.error());
  }
  const RouteDevice device = route_device(*context, request);
  if (!device.possible) {
    co_return device_not_found();
  }
  RowShape shape = shape_of(*context, *form);
  shape.device = device.id;
  shape.aggregates = query->aggregates;
  const bool whole = query->limit.has_value();
  auto answer = std::make_shared<DeviceAnswer>(sources_of(*context), device.id, *std::move(query),
                                               std::move(shape));
  Delivery delivery = delivery_of(*form, whole, device);
  co_return co_await deliver(*context->store, *context->pool, std::move(answer),
                             std::move(delivery));
}

awaitable<http::Response> device_latest(Context context, const http::Request& request) {
  const auto form = accepted_form(request.header("accept"));
  if (!form) {
    co_return not_acceptable();
  }
  auto latest = read_latest_parameters(request.query, limit_default(*form));
  if (latest.has_error()) {
    co_return invalid_parameter(latest.error());
  }
  const RouteDevice device = route_device(*context, request);
  if (!device.possible) {
    co_return device_not_found();
  }
  RowShape shape = shape_of(*context, *form);
  shape.device = device.id;
  shape.newest = true;
  const bool whole = latest->limit.has_value();
  auto answer = std::make_shared<LatestAnswer>(sources_of(*context), device.id, *std::move(latest),
                                               std::move(shape));
  Delivery delivery = delivery_of(*form, whole, device);
  co_return co_await deliver(*context->store, *context->pool, std::move(answer),
                             std::move(delivery));
}

awaitable<http::Response> device_keys(Context context, const http::Request& request) {
  auto latest = read_latest_parameters(request.query, json_page_rows);
  if (latest.has_error()) {
    co_return invalid_parameter(latest.error());
  }
  const RouteDevice device = route_device(*context, request);
  if (!device.possible) {
    co_return device_not_found();
  }
  auto answer =
      std::make_shared<KeysAnswer>(sources_of(*context), device.id, *std::move(latest),
                                   wall_from_epoch(shape_of(*context, AnswerForm::json).now));
  Delivery delivery = delivery_of(AnswerForm::json, true, device);
  co_return co_await deliver(*context->store, *context->pool, std::move(answer),
                             std::move(delivery));
}

/// Is the selection one that can be answered? Its first device is asked for.
awaitable<std::optional<http::Response>> judge_selection(Context context, DeviceSelection selection,
                                                         bool in_body) {
  using Answered = std::optional<http::Response>;
  auto work = [context, selection, in_body]() -> Answered {
    const auto first = context->select_devices(selection, {}, 1);
    return first.has_error() ? Answered{invalid_selection(first.error(), in_body)} : Answered{};
  };
  auto busy = []() -> Answered { return pool_busy(); };
  co_return co_await http::run_blocking<Answered>(*context->pool, work, busy);
}

awaitable<http::Response> fleet_latest(Context context, const http::Request& request) {
  const auto form = accepted_form(request.header("accept"));
  if (!form) {
    co_return not_acceptable();
  }
  auto latest = read_latest_parameters(request.query, limit_default(*form), {"filter"});
  if (latest.has_error()) {
    co_return invalid_parameter(latest.error());
  }
  DeviceSelection selection;
  if (const auto it = request.query.find("filter"); it != request.query.end()) {
    selection.filter = it->second;
  }
  auto refused = co_await judge_selection(context, selection, false);
  if (refused) {
    co_return *std::move(refused);
  }
  RowShape shape = shape_of(*context, *form);
  shape.subject = RowSubject::device;
  shape.newest = true;
  const bool whole = latest->limit.has_value();
  auto answer = std::make_shared<FleetLatestAnswer>(
      *context->store,
      DeviceWalk(context->select_devices, std::move(selection), std::move(latest->after)),
      std::move(latest->keys), latest->limit, std::move(shape));
  Delivery delivery = {*form, whole, {}};
  co_return co_await deliver(*context->store, *context->pool, std::move(answer),
                             std::move(delivery));
}

std::shared_ptr<Answer> fleet_answer(const TelemetryEndpointOptions& options, FleetQuery fleet,
                                     RowShape shape) {
  DeviceWalk walk(options.select_devices, fleet.selection);
  if (fleet.selection.group_by.empty()) {
    return std::make_shared<FleetAnswer>(sources_of(options), std::move(walk),
                                         std::move(fleet.query), std::move(shape));
  }
  return std::make_shared<GroupAnswer>(sources_of(options), std::move(walk), std::move(fleet.query),
                                       std::move(shape));
}

awaitable<http::Response> fleet_query(Context context, const http::Request& request) {
  const auto form = accepted_form(request.header("accept"));
  if (!form) {
    co_return not_acceptable();
  }
  auto fleet = read_fleet_query(request, context->clock());
  if (fleet.has_error()) {
    co_return std::move(fleet).error();
  }
  const bool grouped = !fleet->selection.group_by.empty();
  if (grouped && *form == AnswerForm::senml) {
    co_return http::problem(406, "not_acceptable", "SenML has no names for groups of devices.");
  }
  if (fleet->selection.devices.empty() || grouped) {
    auto refused = co_await judge_selection(context, fleet->selection, true);
    if (refused) {
      co_return *std::move(refused);
    }
  }
  RowShape shape = shape_of(*context, *form);
  shape.subject = grouped ? RowSubject::group : RowSubject::device;
  shape.aggregates = fleet->query.aggregates;
  auto answer = fleet_answer(*context, *std::move(fleet), std::move(shape));
  Delivery delivery = {*form, false, {}};
  co_return co_await deliver(*context->store, *context->pool, std::move(answer),
                             std::move(delivery));
}

std::string describe(const EraseParameters& erase) {
  std::string text = erase.key ? "key " + *erase.key : "all keys";
  if (erase.from != INT64_MIN) {
    text += ", from " + std::to_string(erase.from);
  }
  if (erase.to) {
    text += ", to " + std::to_string(*erase.to);
  }
  return text;
}

/// Erases and records it in one commit.
awaitable<http::Response> erase_series(Context context, const http::Request& request,
                                       EraseParameters erase) {
  const RouteDevice device = route_device(*context, request);
  if (!device.possible) {
    co_return device_not_found();
  }
  if (!device.registered) {
    auto work = [context, id = device.id] {
      const auto has_data = context->store->has_data(id);
      return has_data.has_error() || *has_data;  // What cannot be read may be there.
    };
    auto busy = [] { return true; };
    const bool has_data = co_await http::run_blocking<bool>(*context->pool, work, busy);
    if (!has_data) {
      co_return device_not_found();
    }
  }
  storage::Batch batch;
  context->store->erase({device.id, erase.key, erase.from, erase.to}, batch);
  const bool all_times = erase.from == INT64_MIN && !erase.to;
  if (all_times) {
    UnitBook::erase(device.id, erase.key.value_or(""), batch);
  }
  plugin::AuditEvent event{request.principal, "telemetry.delete",  "device:" + device.id, "ok",
                           describe(erase),   request.peer_address};
  auto start = [context, batch = std::move(batch), event = std::move(event)](auto done) mutable {
    context->audit->submit(std::move(batch), std::move(event),
                           [done](const storage::Status& status) { done(status); });
  };
  const auto status = co_await http::await_callback<storage::Status>(std::move(start));
  if (!status.ok()) {
    http::Response response = http::problem(503, "storage_unavailable",
                                            "The deletion could not be stored: " + status.detail);
    response.headers.emplace_back("Retry-After", "1");
    co_return response;
  }
  if (all_times) {
    context->units_erased();
  }
  http::Response response;
  response.status = 204;
  co_return response;
}

awaitable<http::Response> erase_range(Context context, const http::Request& request) {
  auto erase = read_erase_parameters(request.query, context->clock());
  if (erase.has_error()) {
    co_return invalid_parameter(erase.error());
  }
  co_return co_await erase_series(context, request, *std::move(erase));
}

awaitable<http::Response> erase_key(Context context, const http::Request& request) {
  if (!request.query.empty()) {
    co_return invalid_parameter({request.query.begin()->first, "is not known here"});
  }
  EraseParameters erase;
  erase.key = parameter_of(request, "key");
  if (!is_series_key(*erase.key)) {
    co_return http::problem(404, "series_not_found", "No series can have this key.");
  }
  co_return co_await erase_series(context, request, std::move(erase));
}

}  // namespace

http::EndpointTable telemetry_endpoints(TelemetryEndpointOptions options) {
  SKERRY_ASSERT(options.store != nullptr && options.units != nullptr && options.pool != nullptr);
  SKERRY_ASSERT(options.audit != nullptr && options.device_exists && options.select_devices);
  // One group of all devices is no field of theirs.
  options.select_devices = [select = std::move(options.select_devices)](
                               const DeviceSelection& selection, std::string_view after,
                               std::size_t limit) {
    if (selection.group_by != group_of_all) {
      return select(selection, after, limit);
    }
    DeviceSelection plain = selection;
    plain.group_by.clear();
    auto found = select(plain, after, limit);
    if (found.has_value()) {
      for (SelectedDevice& device : *found) {
        device.groups = {std::string(group_of_all)};
      }
    }
    return found;
  };
  const Context context = std::make_shared<const TelemetryEndpointOptions>(std::move(options));
  using Serve = awaitable<http::Response> (*)(Context, const http::Request&);
  const auto endpoint = [&context](const char* method, const char* route, Serve serve,
                                   std::size_t body_bytes_max = 0) {
    const bool reads = std::string_view(method) != "DELETE";
    return http::Endpoint{
        method,
        std::string("/api/v1") + route,
        http::Guard::token,
        body_bytes_max,
        [context, serve](const http::Request& request) { return serve(context, request); },
        reads ? "telemetry:read" : "telemetry:write"};
  };
  return {
      endpoint("GET", "/devices/{id}/telemetry/latest", &device_latest),
      endpoint("GET", "/devices/{id}/telemetry/keys", &device_keys),
      endpoint("GET", "/devices/{id}/telemetry", &device_query),
      endpoint("DELETE", "/devices/{id}/telemetry", &erase_range),
      endpoint("DELETE", "/devices/{id}/telemetry/keys/{key}", &erase_key),
      endpoint("GET", "/telemetry/latest", &fleet_latest),
      endpoint("POST", "/telemetry:query", &fleet_query, query_body_bytes_max),
  };
}

}  // namespace skerry::twin
