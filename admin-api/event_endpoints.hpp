// The live stream as endpoints, text/event-stream (WHATWG HTML section 9.2):
//   GET /api/v1/events?types=presence,telemetry&device=…&filter=…
//   GET /api/v1/devices/{id}/telemetry/live      presence and telemetry of one device
// Last-Event-ID (header or parameter `lastEventId`) goes on where a stream ended. Beside the events
// there are `gap` {"lost": n or null} and, before the server ends a stream, `end` {"reason": …}.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "admin-api/event_hub.hpp"
#include "base/result.hpp"
#include "http/endpoint.hpp"

namespace skerry::admin_api {

/// Why a filter is refused.
struct EventFilterError {
  std::size_t offset = 0;  ///< byte in the text
  std::string what;        ///< a sentence without a full stop
};

/// Does the filter choose this device? Called on the admin loop for each event.
using EventFilter = std::function<bool(std::string_view device)>;

struct EventStreamOptions {
  EventHub* hub = nullptr;  ///< must outlive the table
  std::function<Result<EventFilter, EventFilterError>(std::string_view text)> parse_filter;
  std::function<bool(std::string_view device)> device_exists;
  /// How often the request's token is asked for; a stream whose token is no longer good ends.
  std::chrono::milliseconds recheck{2'000};
  std::chrono::milliseconds heartbeat{15'000};
  /// Events of so long are sent together when they come faster.
  std::chrono::milliseconds gather{20};
};

http::EndpointTable event_endpoints(EventStreamOptions options);

}  // namespace skerry::admin_api
