// While disk space is low, requests that would store more are refused with 507 before their
// handlers run. Whatever takes away or locks out goes on: DELETE, revocation, suspension, and the
// login that they need.
#pragma once

#include <atomic>

#include "http/endpoint.hpp"

namespace skerry::admin_api {

/// Does this request of an endpoint store something that was not there? By method and route.
bool takes_space(const http::Endpoint& endpoint);

/// Puts every endpoint that takes_space() behind `low`, which must outlive the table. To be called
/// after make_idempotent(): a refusal is not the answer that a repeated request should get.
void refuse_when_low(http::EndpointTable& table, const std::atomic<bool>& low);

}  // namespace skerry::admin_api
