// Routing: from the request target of the wire to an endpoint and its parameters. Pure functions on
// text; the server hands them what the parser has found.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "http/endpoint.hpp"

namespace skerry::http {

/// Bytes of a request target; longer ones are refused with 414.
inline constexpr std::size_t target_bytes_max = 8 * 1024;
/// Segments in a path and pairs in a query.
inline constexpr std::size_t path_segments_max = 32;
inline constexpr std::size_t query_pairs_max = 64;

/// A request target, decoded. A "%2F" inside a segment stays inside it.
struct Target {
  std::string path;                   ///< segments joined by '/', for humans and logs
  std::vector<std::string> segments;  ///< of "/a/b": "a", "b"; of "/": none
  std::map<std::string, std::string, std::less<>> query;
};

/// Why a target is refused: a static sentence for a human.
struct TargetError {
  const char* what = "";
};

/// `%XX` to bytes; false on a broken escape, a NUL or a control character, decoded or not.
/// `plus_is_space` for queries.
[[nodiscard]] bool percent_decode(std::string_view text, bool plus_is_space, std::string& out);

/// Parses an origin-form target (RFC 9112 section 3.2.1).
/// Dot segments ("." and "..") and empty segments are errors, not repaired: nobody who means well
/// sends them.
Result<Target, TargetError> parse_target(std::string_view raw);

class Router {
 public:
  /// The endpoints must not change their place while the router lives. SKERRY_ASSERTs on routes
  /// that are written wrongly or twice: that is our own table.
  explicit Router(const EndpointTable& endpoints);

  struct Match {
    const Endpoint* endpoint = nullptr;  ///< null: no such path, or not with this method
    std::map<std::string, std::string, std::less<>> parameters;
    std::vector<std::string> allowed;  ///< methods of the path, sorted; empty: no such path
  };

  /// Literal segments win over parameters, from left to right. HEAD finds the GET endpoint.
  Match match(std::string_view method, const Target& target) const;

 private:
  /// One piece of a route: `literal`, or `{parameter}literal` where the literal ends the segment.
  struct Piece {
    std::string parameter;
    std::string literal;
  };
  struct Route {
    std::vector<Piece> pieces;
    const Endpoint* endpoint = nullptr;
  };
  static std::vector<Piece> split_route(std::string_view route);
  static bool fits(const Piece& piece, std::string_view segment);
  static bool is_more_specific(const Route& left, const Route& right);

  std::vector<Route> routes_;  ///< more specific ones first
};

}  // namespace skerry::http
