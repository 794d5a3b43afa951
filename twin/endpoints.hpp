// The telemetry routes of the REST API, below /api/v1:
//   GET    /devices/{id}/telemetry?keys=&from=&to=&step=&agg=&fill=&order=&limit=&cursor=
//   GET    /devices/{id}/telemetry/latest?keys=&limit=&cursor=
//   GET    /devices/{id}/telemetry/keys?limit=&cursor=
//   DELETE /devices/{id}/telemetry?key=&from=&to= · /devices/{id}/telemetry/keys/{key}
//   GET    /telemetry/latest?filter=&keys=&limit=&cursor=          newest samples of a fleet
//   POST   /telemetry:query {"filter" | "devices", "keys", "from", "to", "step", "agg", "fill",
//                            "order", "groupBy"}
// as JSON, NDJSON, CSV or SenML by Accept. Without `limit` (or with limit=all) the last three are
// streamed whole; JSON is then a page of 1000. The next cursor stands in JSON, and in the header
// `Skerry-Next-Cursor`. Every read of the store runs on the reader pool, a page at a time.
#pragma once

#include <functional>
#include <string_view>

#include "base/now.hpp"
#include "http/endpoint.hpp"
#include "plugin/audit.hpp"
#include "storage/reader_pool.hpp"
#include "twin/fleet_answer.hpp"
#include "twin/series_store.hpp"
#include "twin/unit_book.hpp"

namespace skerry::twin {

struct TelemetryEndpointOptions {
  // All must outlive the table.
  SeriesStore* store = nullptr;
  const UnitBook* units = nullptr;
  storage::ReaderPool* pool = nullptr;
  plugin::AuditLog* audit = nullptr;
  /// Is the device registered? Called on the admin loop: must not block.
  std::function<bool(std::string_view device)> device_exists;
  SelectDevices select_devices;
  /// Units were erased with their series: see TelemetryTap::forget_units().
  std::function<void()> units_erased = [] {};
  std::function<WallTime()> clock = [] { return read_clocks().wall; };
};

/// A device that is not registered and has no data is a 404 `device_not_found`; a parameter that
/// cannot be understood a 400 `invalid_parameter` with the pointer `/query/{name}`, in a body a 422
/// `invalid_field` with the pointer of the field, a filter `invalid_filter`.
http::EndpointTable telemetry_endpoints(TelemetryEndpointOptions options);

}  // namespace skerry::twin
