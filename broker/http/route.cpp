// Routing: from the request target of the wire to an endpoint and its parameters.
#include "http/route.hpp"

#include <algorithm>
#include <tuple>

#include "base/assert.hpp"

namespace skerry::http {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

/// Length of the character that `text` begins with; 0 when it is no UTF-8 (RFC 3629 section 4).
std::size_t character_length(std::string_view text) noexcept {
  const auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first < 0xc2 || first > 0xf4) {
    return 0;
  }
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < length) {
    return 0;
  }
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte(at) & 0xc0) != 0x80) {
      return 0;
    }
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) >= 0xa0;
  const bool too_high = first == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || too_high ? 0 : length;
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

bool parse_query(std::string_view text, std::map<std::string, std::string, std::less<>>& query,
                 const char*& why) {
  std::size_t pairs = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) {
      continue;
    }
    if (++pairs > query_pairs_max) {
      why = "the query has too many parameters";
      return false;
    }
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::string name;
    std::string value;
    if (!percent_decode(pair.substr(0, equals), true, name) ||
        !percent_decode(pair.substr(std::min(equals + 1, pair.size())), true, value)) {
      why = "the query holds a broken percent-encoding, a control character or no UTF-8";
      return false;
    }
    query.insert_or_assign(std::move(name), std::move(value));
  }
  return true;
}

}  // namespace

bool percent_decode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  out.reserve(text.size());
  for (std::size_t index = 0; index < text.size(); ++index) {
    char c = text[index];
    if (c == '%') {
      if (text.size() - index < 3) {
        return false;
      }
      const int high = hex_digit(text[index + 1]);
      const int low = hex_digit(text[index + 2]);
      if (high < 0 || low < 0) {
        return false;
      }
      c = static_cast<char>(high * 16 + low);
      index += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (is_control(c)) {
      return false;
    }
    out.push_back(c);
  }
  return is_utf8(out);  // it goes into JSON and logs
}

Result<Target, TargetError> parse_target(std::string_view raw) {
  if (raw.size() > target_bytes_max) {
    return TargetError{"the request target is too long"};
  }
  if (raw.empty() || raw.front() != '/') {
    return TargetError{"the request target must begin with '/'"};
  }
  if (raw.find('#') != std::string_view::npos) {
    return TargetError{"the request target must not hold a fragment"};
  }
  Target target;
  const std::size_t question = std::min(raw.find('?'), raw.size());
  const char* why = "";
  if (question < raw.size() && !parse_query(raw.substr(question + 1), target.query, why)) {
    return TargetError{why};
  }
  std::string_view path = raw.substr(1, question - 1);
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    std::string segment;
    if (!percent_decode(path.substr(0, end), false, segment)) {
      return TargetError{
          "the path holds a broken percent-encoding, a control character or no UTF-8"};
    }
    if (segment.empty() || segment == "." || segment == "..") {
      return TargetError{"the path holds an empty or dot segment"};
    }
    if (target.segments.size() == path_segments_max) {
      return TargetError{"the path has too many segments"};
    }
    target.path += "/" + segment;
    target.segments.push_back(std::move(segment));
    if (end == std::string_view::npos) {
      break;
    }
    path.remove_prefix(end + 1);
    if (path.empty()) {
      return TargetError{"the path must not end with '/'"};
    }
  }
  if (target.path.empty()) {
    target.path = "/";
  }
  return target;
}

Router::Router(const EndpointTable& endpoints) {
  for (const Endpoint& endpoint : endpoints) {
    routes_.push_back(Route{split_route(endpoint.route), &endpoint});
  }
  std::stable_sort(routes_.begin(), routes_.end(), &Router::is_more_specific);
  for (std::size_t index = 1; index < routes_.size(); ++index) {
    SKERRY_ASSERT(routes_[index - 1].endpoint->route != routes_[index].endpoint->route ||
                  routes_[index - 1].endpoint->method != routes_[index].endpoint->method);
  }
}

std::vector<Router::Piece> Router::split_route(std::string_view route) {
  SKERRY_ASSERT(!route.empty() && route.front() == '/');
  std::vector<Piece> pieces;
  std::string_view rest = route.substr(1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    std::string_view segment = rest.substr(0, end);
    SKERRY_ASSERT(!segment.empty());
    Piece piece;
    if (segment.front() == '{') {
      const std::size_t close = segment.find('}');
      SKERRY_ASSERT(close != std::string_view::npos && close > 1);
      piece.parameter = segment.substr(1, close - 1);
      segment.remove_prefix(close + 1);
    }
    piece.literal = segment;
    pieces.push_back(std::move(piece));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return pieces;
}

bool Router::fits(const Piece& piece, std::string_view segment) {
  if (piece.parameter.empty()) {
    return segment == piece.literal;
  }
  return segment.size() > piece.literal.size() && segment.ends_with(piece.literal);
}

bool Router::is_more_specific(const Route& left, const Route& right) {
  const std::size_t common = std::min(left.pieces.size(), right.pieces.size());
  for (std::size_t index = 0; index < common; ++index) {
    // Literal before parameter, parameter with ending before a bare one, then by text so that
    // equal routes are neighbours.
    const auto rank = [](const Piece& piece) {
      const int kind = piece.parameter.empty() ? 0 : piece.literal.empty() ? 2 : 1;
      return std::tuple<int, std::string_view, std::string_view>{kind, piece.literal,
                                                                 piece.parameter};
    };
    const auto left_rank = rank(left.pieces[index]);
    const auto right_rank = rank(right.pieces[index]);
    if (left_rank != right_rank) {
      return left_rank < right_rank;
    }
  }
  return std::tuple{left.pieces.size(), std::string_view{left.endpoint->method}} <
         std::tuple{right.pieces.size(), std::string_view{right.endpoint->method}};
}

Router::Match Router::match(std::string_view method, const Target& target) const {
  Match match;
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  const Route* found = nullptr;
  for (const Route& route : routes_) {
    if (route.pieces.size() != target.segments.size() ||
        !std::equal(route.pieces.begin(), route.pieces.end(), target.segments.begin(),
                    &Router::fits)) {
      continue;
    }
    match.allowed.push_back(route.endpoint->method);
    if (found == nullptr && route.endpoint->method == wanted) {
      found = &route;
    }
  }
  if (!match.allowed.empty()) {
    if (std::find(match.allowed.begin(), match.allowed.end(), "GET") != match.allowed.end()) {
      match.allowed.emplace_back("HEAD");
    }
    match.allowed.emplace_back("OPTIONS");
    std::sort(match.allowed.begin(), match.allowed.end());
    match.allowed.erase(std::unique(match.allowed.begin(), match.allowed.end()),
                        match.allowed.end());
  }
  if (found == nullptr) {
    return match;
  }
  match.endpoint = found->endpoint;
  for (std::size_t index = 0; index < found->pieces.size(); ++index) {
    const Piece& piece = found->pieces[index];
    if (!piece.parameter.empty()) {
      const std::string& segment = target.segments[index];
      match.parameters[piece.parameter] = segment.substr(0, segment.size() - piece.literal.size());
    }
  }
  return match;
}

}  // namespace skerry::http
