// Cursors and forms of answers.
#include <algorithm>

#include "base/byte_order.hpp"
#include "twin/query.hpp"

namespace skerry::twin {
namespace {

constexpr char cursor_version = 1;
constexpr std::size_t cursor_head_bytes = 2;
constexpr std::size_t cursor_place_bytes = 16;
constexpr std::size_t cursor_text_max =
    2 * (cursor_head_bytes + cursor_place_bytes + telemetry_key_bytes_max);

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
  if (name == "application/senml+json") {
    return AnswerForm::senml;
  }
  return std::nullopt;
}

}  // namespace

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
    // A bucket may begin before the first time of all. Nothing else has been given out, and further
    // off the arithmetic of buckets would overflow.
    if (position.after->timestamp < timestamp_min - series_step_max ||
        position.after->timestamp > timestamp_max) {
      return std::nullopt;
    }
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

std::string_view content_type_of(AnswerForm form) noexcept {
  switch (form) {
    case AnswerForm::json:
      return "application/json";
    case AnswerForm::csv:
      return "text/csv; charset=utf-8; header=present";
    case AnswerForm::ndjson:
      return "application/x-ndjson";
    case AnswerForm::senml:
      return "application/senml+json";
  }
  return {};
}

}  // namespace skerry::twin
