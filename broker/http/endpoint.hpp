// The endpoint table: what an HTTP port answers, as data. A folder contributes its own list and the
// wiring joins them; openapi.yaml is compared with the same table.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "http/message.hpp"

namespace skerry::http {

using Handler = std::function<boost::asio::awaitable<Response>(const Request&)>;

/// What a caller must show before the handler runs.
enum class Guard : std::uint8_t {
  none,   ///< anybody (health, EST: the handler judges the certificate)
  token,  ///< `Authorization: Bearer`, checked by the guard function of the server
};

struct Endpoint {
  std::string method;  ///< "GET"
  std::string route;   ///< "/api/v1/devices/{id}"; a `{name}` takes one segment
  Guard guard = Guard::token;
  std::size_t body_bytes_max = 1024 * 1024;
  Handler handler;
  /// The handler is called before the body is read and reads it from `Request::body_stream`; the
  /// client must keep up a minimum rate, not a total time. `body_bytes_max` counts as ever.
  bool streams_body = false;
};

using EndpointTable = std::vector<Endpoint>;

/// Decides on a bearer token: the principal ("user:admin", "token:ci") or empty for no. May not
/// block.
using TokenGuard = std::function<std::string(std::string_view token)>;

}  // namespace skerry::http
