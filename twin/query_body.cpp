#include "twin/query_body.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/limits.hpp"
#include "http/json_body.hpp"
#include "twin/device_topic.hpp"

namespace skerry::twin {
namespace {

namespace json = boost::json;
using Failure = std::optional<http::Response>;

constexpr std::size_t group_by_bytes_max = 256;

http::Response invalid_field(std::string_view field, const std::string& detail) {
  return http::problem(422, "invalid_field", "The field " + std::string(field) + " " + detail + ".",
                       "/" + std::string(field));
}

/// Strings of an array, or nothing when it is none or too long.
std::optional<std::vector<std::string>> strings_of(const json::value& value,
                                                   std::size_t count_max) {
  if (!value.is_array() || value.get_array().size() > count_max) {
    return std::nullopt;
  }
  std::vector<std::string> out;
  for (const json::value& each : value.get_array()) {
    if (!each.is_string()) {
      return std::nullopt;
    }
    out.emplace_back(each.get_string());
  }
  return out;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    out.append(out.empty() ? "" : ",");
    for (const char c : text) {
      out.append(c == ',' || c == '\\' ? "\\" : "").append(1, c);
    }
  }
  return out;
}

/// A field that a query string writes as text: a string, an integer, or a list of strings.
Failure take_text(const json::object& body, std::string_view name, Parameters& parameters) {
  const json::value* value = body.if_contains(name);
  if (value == nullptr || value->is_null()) {
    return {};
  }
  std::string& text = parameters[std::string(name)];
  if (value->is_string()) {
    text = value->get_string();
    return {};
  }
  if (value->is_int64() && (name == "from" || name == "to")) {
    text = std::to_string(value->get_int64());
    return {};
  }
  if (name == "keys" || name == "agg") {
    const auto texts = strings_of(*value, series_query_keys_max);
    if (texts && !texts->empty()) {
      text = joined(*texts);
      return {};
    }
    return invalid_field(
        name, "must be a list of 1 to " + std::to_string(series_query_keys_max) + " strings");
  }
  return invalid_field(name, "must be a string");
}

Failure read_selection(const json::object& body, DeviceSelection& selection) {
  const json::value* devices = body.if_contains("devices");
  const json::value* filter = body.if_contains("filter");
  if (devices != nullptr && filter != nullptr) {
    return invalid_field("devices", "does not go with filter");
  }
  if (filter != nullptr) {
    if (!filter->is_string()) {
      return invalid_field("filter", "must be a string");
    }
    selection.filter = filter->get_string();
  }
  if (devices != nullptr) {
    auto ids = strings_of(*devices, query_devices_max);
    if (!ids || ids->empty()) {
      return invalid_field(
          "devices", "must be a list of 1 to " + std::to_string(query_devices_max) + " device ids");
    }
    for (const std::string& id : *ids) {
      if (!is_device_id(id)) {
        return invalid_field("devices", "holds what is no device id");
      }
    }
    selection.devices = *std::move(ids);
  }
  if (devices == nullptr && filter == nullptr) {
    return invalid_field("filter", "or devices must say which devices are meant");
  }
  return {};
}

Failure read_group_by(const json::object& body, FleetQuery& out) {
  const json::value* group_by = body.if_contains("groupBy");
  if (group_by == nullptr || group_by->is_null()) {
    return {};
  }
  if (!group_by->is_string() || group_by->get_string().empty() ||
      group_by->get_string().size() > group_by_bytes_max) {
    return invalid_field("groupBy", "must be all, tags, state, model or attributes.<name>");
  }
  out.selection.group_by = group_by->get_string();
  if (!out.query.step) {
    return invalid_field("groupBy", "needs step, the length of a bucket");
  }
  for (const AggregateKind kind : out.query.aggregates) {
    if (kind == AggregateKind::first || kind == AggregateKind::last) {
      return invalid_field("agg", "cannot be first or last over several devices");
    }
  }
  return {};
}

}  // namespace

Result<FleetQuery, http::Response> read_fleet_query(const http::Request& request, WallTime now) {
  auto body = http::parse_json_object(request);
  if (body.has_error()) {
    return std::move(body).error();
  }
  Failure failure = http::refuse_unknown_fields(*body, {"filter", "devices", "keys", "from", "to",
                                                        "step", "agg", "fill", "order", "groupBy"});
  FleetQuery out;
  if (!failure) {
    failure = read_selection(*body, out.selection);
  }
  Parameters parameters;
  for (const std::string_view name : {"keys", "from", "to", "step", "agg", "fill", "order"}) {
    if (!failure) {
      failure = take_text(*body, name, parameters);
    }
  }
  if (failure) {
    return *std::move(failure);
  }
  auto query = read_telemetry_query(parameters, now, std::nullopt);
  if (query.has_error()) {
    return invalid_field(query.error().parameter, query.error().detail);
  }
  out.query = *std::move(query);
  failure = read_group_by(*body, out);
  if (failure) {
    return *std::move(failure);
  }
  return out;
}

}  // namespace skerry::twin
