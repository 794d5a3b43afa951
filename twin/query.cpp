#include "twin/query.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "base/byte_order.hpp"
#include "twin/time_text.hpp"

namespace skerry::twin {
namespace {

constexpr char cursor_version = 1;
constexpr std::size_t cursor_head_bytes = 2;
constexpr std::size_t cursor_place_bytes = 16;
constexpr std::size_t cursor_text_max =
    2 * (cursor_head_bytes + cursor_place_bytes + telemetry_key_bytes_max);

using Failure = std::optional<QueryError>;

const std::string* find(const http::Request& request, std::string_view name) {
  const auto it = request.query.find(name);
  return it == request.query.end() ? nullptr : &it->second;
}

Failure refuse_others(const http::Request& request, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : request.query) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string list;
      for (const std::string_view each : known) {
        list.append(list.empty() ? "" : ", ").append(each);
      }
      return QueryError{name, "there is no such parameter; known are " + list};
    }
  }
  return {};
}

std::string device_of(const http::Request& request) {
  const auto it = request.parameters.find("id");
  return it == request.parameters.end() ? std::string{} : it->second;
}

Failure read_limit(const http::Request& request, std::size_t& limit) {
  const std::string* text = find(request, "limit");
  if (text == nullptr) {
    return {};
  }
  const char* const end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, limit);
  if (error != std::errc{} || stop != end || limit < 1 || limit > series_page_samples_max) {
    return QueryError{"limit",
                      "must be a number from 1 to " + std::to_string(series_page_samples_max)};
  }
  return {};
}

Failure read_cursor(const http::Request& request, std::optional<SeriesPosition>& start) {
  const std::string* text = find(request, "cursor");
  if (text == nullptr) {
    return {};
  }
  start = decode_cursor(*text);
  if (!start) {
    return QueryError{"cursor", "is not one that this server gave"};
  }
  return {};
}

Failure read_keys(const http::Request& request, std::vector<std::string>& keys) {
  const std::string* text = find(request, "keys");
  if (text == nullptr) {
    return {};
  }
  keys.emplace_back();
  for (std::size_t i = 0; i < text->size(); ++i) {
    const char c = (*text)[i];
    const bool escapes =
        c == '\\' && i + 1 < text->size() && ((*text)[i + 1] == ',' || (*text)[i + 1] == '\\');
    if (c != ',') {
      keys.back().push_back(escapes ? (*text)[++i] : c);
    } else if (keys.size() == series_query_keys_max) {
      return QueryError{"keys", "names more than " + std::to_string(series_query_keys_max)};
    } else {
      keys.emplace_back();
    }
  }
  for (const std::string& key : keys) {
    if (key.empty() || key.size() > telemetry_key_bytes_max ||
        key.find('\0') != std::string::npos) {
      return QueryError{"keys", "holds an empty or impossible key"};
    }
  }
  return {};
}

Failure read_range(const http::Request& request, WallTime now, SeriesQuery& query) {
  constexpr std::string_view forms =
      "must be RFC 3339 (2024-05-01T12:00:00Z), epoch milliseconds or relative (-1h)";
  if (const std::string* text = find(request, "from")) {
    const auto from = parse_instant(*text, now);
    if (!from) {
      return QueryError{"from", std::string(forms)};
    }
    query.from = *from;
  }
  if (const std::string* text = find(request, "to")) {
    query.to = parse_instant(*text, now);
    if (!query.to) {
      return QueryError{"to", std::string(forms)};
    }
    if (*query.to < query.from) {
      return QueryError{"to", "lies before from"};
    }
  }
  return {};
}

Failure read_order(const http::Request& request, bool& descending) {
  const std::string* text = find(request, "order");
  if (text == nullptr || *text == "asc") {
    return {};
  }
  descending = true;
  return *text == "desc" ? Failure{} : QueryError{"order", "must be asc or desc"};
}

int hexadecimal_digit(char c) noexcept {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

/// `parameters`: what follows the media type, from its first ';'.
bool weight_is_zero(std::string_view parameters) noexcept {
  const std::size_t at = parameters.find("q=0");
  return at != std::string_view::npos &&
         parameters.substr(at + 3).find_first_of("123456789") == std::string_view::npos;
}

std::optional<AnswerForm> form_of(std::string_view media_type) {
  std::string name(media_type);
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (name == "application/json" || name == "application/*" || name == "*/*") {
    return AnswerForm::json;
  }
  if (name == "text/csv" || name == "text/*") {
    return AnswerForm::csv;
  }
  if (name == "application/x-ndjson" || name == "application/ndjson") {
    return AnswerForm::ndjson;
  }
  return std::nullopt;
}

}  // namespace

Result<SeriesQuery, QueryError> read_series_query(const http::Request& request, WallTime now) {
  SeriesQuery query;
  query.device = device_of(request);
  Failure failure = refuse_others(request, {"keys", "from", "to", "limit", "order", "cursor"});
  if (!failure) {
    failure = read_keys(request, query.keys);
  }
  if (!failure) {
    failure = read_range(request, now, query);
  }
  if (!failure) {
    failure = read_limit(request, query.limit);
  }
  if (!failure) {
    failure = read_order(request, query.descending);
  }
  if (!failure) {
    failure = read_cursor(request, query.start);
  }
  if (failure) {
    return *std::move(failure);
  }
  return query;
}

Result<LatestQuery, QueryError> read_latest_query(const http::Request& request, WallTime now) {
  LatestQuery query;
  query.device = device_of(request);
  query.now = now;
  std::optional<SeriesPosition> start;
  Failure failure = refuse_others(request, {"limit", "cursor"});
  if (!failure) {
    failure = read_limit(request, query.limit);
  }
  if (!failure) {
    failure = read_cursor(request, start);
  }
  if (failure) {
    return *std::move(failure);
  }
  if (start) {
    query.after_key = std::move(start->key);
  }
  return query;
}

std::string encode_cursor(const SeriesPosition& position) {
  std::string bytes;
  bytes.push_back(cursor_version);
  bytes.push_back(position.after ? '\1' : '\0');
  if (position.after) {
    append_big_endian(bytes, position.after->timestamp);
    append_big_endian(bytes, position.after->tie);
  }
  bytes.append(position.key);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    text.push_back(digits[byte >> 4]);
    text.push_back(digits[byte & 15]);
  }
  return text;
}

std::optional<SeriesPosition> decode_cursor(std::string_view text) {
  if (text.size() > cursor_text_max || text.size() % 2 != 0) {
    return std::nullopt;
  }
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hexadecimal_digit(text[i]);
    const int low = hexadecimal_digit(text[i + 1]);
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  if (bytes.size() < cursor_head_bytes || bytes[0] != cursor_version || (bytes[1] & ~1) != 0) {
    return std::nullopt;
  }
  std::string_view rest = std::string_view(bytes).substr(cursor_head_bytes);
  SeriesPosition position;
  if (bytes[1] != 0) {
    if (rest.size() < cursor_place_bytes) {
      return std::nullopt;
    }
    position.after = SamplePlace{read_big_endian<std::int64_t>(rest),
                                 read_big_endian<std::uint64_t>(rest.substr(8))};
    rest.remove_prefix(cursor_place_bytes);
  }
  if (rest.empty() || rest.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  position.key = rest;
  return position;
}

std::optional<AnswerForm> accepted_form(std::string_view accept) {
  if (trimmed(accept).empty()) {
    return AnswerForm::json;
  }
  while (!accept.empty()) {
    const std::size_t comma = std::min(accept.find(','), accept.size());
    const std::string_view range = accept.substr(0, comma);
    accept.remove_prefix(std::min(comma + 1, accept.size()));
    const std::size_t semicolon = std::min(range.find(';'), range.size());
    const auto form = form_of(trimmed(range.substr(0, semicolon)));
    if (form && !weight_is_zero(range.substr(semicolon))) {
      return form;
    }
  }
  return std::nullopt;
}

}  // namespace skerry::twin
