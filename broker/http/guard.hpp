// Who asks, and may they ask this: bearer tokens (RFC 6750) and their scopes.
#pragma once

#include <optional>

#include "http/endpoint.hpp"
#include "http/server.hpp"

namespace skerry::http {

/// Notes in `request` whose token it carries and judges it by the endpoint's guard and scope. A
/// value is the refusal to answer: 401 or 403.
std::optional<Response> check_guard(const ServerOptions& options, const Endpoint& endpoint,
                                    Request& request);

/// Fills in the default scope where a row names none.
EndpointTable with_scopes(EndpointTable table);

}  // namespace skerry::http
