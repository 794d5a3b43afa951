// What the metrics port answers: Prometheus text and the two questions of an orchestrator. Without
// tokens, since that port is bound to the loopback by default.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "http/endpoint.hpp"
#include "plugin/admin_view.hpp"

namespace skerry::admin_api {

struct HealthSources {
  const plugin::AdminView& view;  ///< must outlive the table
  /// Prometheus text format, version 0.0.4. On the admin loop: must not block.
  std::function<std::string()> metrics;
  /// Why the server should get no traffic, in words; empty when it should. Must not block.
  std::function<std::vector<std::string>()> not_ready_reasons;
  std::uint32_t stall_seconds = 10;  ///< a loop that has not turned for so long is dead
  /// What an operator should look at although the server should get its traffic. May be null. Must
  /// not block.
  std::function<std::vector<std::string>()> warnings = {};
};

/// GET /metrics · GET /health/live (503 when a loop is stuck) · GET /health/ready (503 with
/// reasons; warnings are told in both cases).
http::EndpointTable health_endpoints(HealthSources sources);

}  // namespace skerry::admin_api
