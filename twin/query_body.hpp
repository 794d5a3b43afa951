// The body of POST /api/v1/telemetry:query. Pure functions, any thread.
#pragma once

#include "http/message.hpp"
#include "twin/fleet_answer.hpp"
#include "twin/query.hpp"

namespace skerry::twin {

struct FleetQuery {
  DeviceSelection selection;
  TelemetryQuery query;
};

/// The body, or the problem to answer: 400 when it is no JSON object, 422 `unknown_field` or
/// `invalid_field` with the pointer of the field.
Result<FleetQuery, http::Response> read_fleet_query(const http::Request& request, WallTime now);

}  // namespace skerry::twin
