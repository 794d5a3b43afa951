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
  /// What a token must be good for, "devices:read"; empty: default_scope() of method and route
  /// (http/scope.hpp).
  std::string scope = {};
  /// The handler is called before the body is read and reads it from `Request::body_stream`; the
  /// client must keep up a minimum rate, not a total time. `body_bytes_max` counts as ever.
  bool streams_body = false;
};

using EndpointTable = std::vector<Endpoint>;

/// Who holds a bearer token, and what the token is good for.
struct Principal {
  std::string name;                 ///< "user:admin"; empty: nobody, the token is refused
  std::vector<std::string> scopes;  ///< see http/scope.hpp
  /// Is the token still good? For answers that go on for long (events); any thread, cheap.
  std::function<bool()> is_live = {};
  std::string token_id = {};  ///< the token's name among those of its issuer, no secret
};

/// Decides on a bearer token. May not block.
using TokenGuard = std::function<Principal(std::string_view token)>;

/// A request that was refused before its handler: by its token, or by the token's scopes.
struct Refusal {
  std::string principal;  ///< empty when the token says nothing
  std::string method;
  std::string path;
  std::string peer_address;
  std::string code;   ///< of the problem: "token_invalid", "insufficient_scope"
  std::string scope;  ///< that was missing
};

}  // namespace skerry::http
