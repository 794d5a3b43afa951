// What the metrics port answers.
#include "admin-api/health.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;
using Sources = std::shared_ptr<const HealthSources>;

http::Response health(bool good, std::string_view word, const std::vector<std::string>& reasons,
                      const std::vector<std::string>& warnings = {}) {
  boost::json::object body;
  body["status"] = word;
  if (!reasons.empty()) {
    body["reasons"] = boost::json::array(reasons.begin(), reasons.end());
  }
  if (!warnings.empty()) {
    body["warnings"] = boost::json::array(warnings.begin(), warnings.end());
  }
  return http::json_response(body, good ? 200 : 503);
}

awaitable<http::Response> metrics(Sources sources) {
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = sources->metrics();
  co_return response;
}

awaitable<http::Response> live(Sources sources) {
  if (sources->view.loops_alive(sources->stall_seconds)) {
    co_return health(true, "live", {});
  }
  co_return health(
      false, "stalled",
      {"an event loop has not turned for " + std::to_string(sources->stall_seconds) + " s"});
}

awaitable<http::Response> ready(Sources sources) {
  const std::vector<std::string> reasons = sources->not_ready_reasons();
  const std::vector<std::string> warnings =
      sources->warnings ? sources->warnings() : std::vector<std::string>{};
  const char* const word = reasons.empty() ? "ready" : "not ready";
  co_return health(reasons.empty(), word, reasons, warnings);
}

}  // namespace

http::EndpointTable health_endpoints(HealthSources sources) {
  const auto shared = std::make_shared<const HealthSources>(std::move(sources));
  return {
      {"GET", "/metrics", http::Guard::none, 0,
       [shared](const http::Request&) { return metrics(shared); }},
      {"GET", "/health/live", http::Guard::none, 0,
       [shared](const http::Request&) { return live(shared); }},
      {"GET", "/health/ready", http::Guard::none, 0,
       [shared](const http::Request&) { return ready(shared); }},
  };
}

}  // namespace skerry::admin_api
