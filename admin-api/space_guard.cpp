#include "admin-api/space_guard.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

/// What may be posted all the same: questions, and what takes rights away.
constexpr std::array<std::string_view, 12> posts_that_go_on{
    "/api/v1/tokens",
    "/api/v1/policies:explain",
    "/api/v1/system:reload",
    "/api/v1/telemetry:query",
    "/api/v1/clients/{owner}/{clientId}:disconnect",
    "/api/v1/certificates/{serial}:revoke",
    "/api/v1/devices/{id}:suspend",
    "/api/v1/devices/{id}:resume",
    "/api/v1/devices/{id}:retire",
    "/api/v1/devices/{id}:disconnect",
    "/api/v1/devices/{id}:approve",
    "/api/v1/devices/{id}:reject",
};

awaitable<http::Response> run(const http::Handler& handler, const std::atomic<bool>& low,
                              const http::Request& request) {
  if (low.load(std::memory_order_relaxed)) {
    http::Response response =
        http::problem(507, "storage_low",
                      "the disk is nearly full: nothing new is stored until there is room again; "
                      "what deletes or locks out goes on");
    response.headers.emplace_back("Retry-After", "30");
    co_return response;
  }
  co_return co_await handler(request);
}

}  // namespace

bool takes_space(const http::Endpoint& endpoint) {
  if (endpoint.method == "PUT" || endpoint.method == "PATCH") {
    return true;
  }
  return endpoint.method == "POST" && std::find(posts_that_go_on.begin(), posts_that_go_on.end(),
                                                endpoint.route) == posts_that_go_on.end();
}

void refuse_when_low(http::EndpointTable& table, const std::atomic<bool>& low) {
  for (http::Endpoint& endpoint : table) {
    if (takes_space(endpoint)) {
      endpoint.handler = [handler = std::move(endpoint.handler), &low](
                             const http::Request& request) { return run(handler, low, request); };
    }
  }
}

}  // namespace skerry::admin_api
