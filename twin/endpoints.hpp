// The telemetry routes of the REST API:
//   GET /api/v1/devices/{id}/telemetry/latest
//   GET /api/v1/devices/{id}/telemetry?keys=a,b&from=&to=&limit=&order=asc|desc&cursor=
// as JSON, CSV or NDJSON by Accept. In the last two forms the next cursor travels in the header
// `Skerry-Next-Cursor`. Every read of the store runs on the reader pool.
#pragma once

#include <functional>
#include <string_view>

#include "base/now.hpp"
#include "http/endpoint.hpp"
#include "storage/reader_pool.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin {

struct TelemetryEndpointOptions {
  const SeriesStore* store = nullptr;   ///< must outlive the table
  storage::ReaderPool* pool = nullptr;  ///< must outlive the table
  /// Is the device registered? Called on the admin loop: must not block.
  std::function<bool(std::string_view device)> device_exists;
  std::function<WallTime()> clock = [] { return read_clocks().wall; };
};

/// A device that is not registered and has no data is a 404 `device_not_found`; a parameter that
/// cannot be understood a 400 `invalid_parameter` with the pointer `/query/{name}`.
http::EndpointTable telemetry_endpoints(TelemetryEndpointOptions options);

}  // namespace skerry::twin
