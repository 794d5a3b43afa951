#include "twin/value_text.hpp"

#include <charconv>
#include <cmath>

#include "base/csv_cell.hpp"
#include "twin/time_text.hpp"

namespace skerry::twin {
namespace {

template <typename Number>
void append_shortest(std::string& out, Number number) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  out.append(text, end);
}

/// Everything but text is written alike in JSON and CSV.
void append_scalar(std::string& out, const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    append_number(out, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    append_number(out, *real);
  } else if (const auto* boolean = std::get_if<bool>(&value)) {
    out.append(*boolean ? "true" : "false");
  }
}

}  // namespace

Value view_of(const StoredValue& value) noexcept {
  return std::visit([](const auto& held) -> Value { return held; }, value);
}

void append_number(std::string& out, std::int64_t number) {
  append_shortest(out, number);
}

void append_number(std::string& out, double number) {
  if (std::isfinite(number)) {
    append_shortest(out, number);
  } else {
    out.append("null");
  }
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      out.append("\\u00").push_back(digits[byte >> 4]);
      out.push_back(digits[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_json_value(std::string& out, const Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    append_json_string(out, *text);
  } else {
    append_scalar(out, value);
  }
}

void append_csv_value(std::string& out, const Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    append_csv_cell(out, *text);
  } else {
    append_scalar(out, value);
  }
}

void append_json_members(std::string& out, std::int64_t timestamp, const Value& value,
                         std::uint8_t flags) {
  out.append("\"ts\":\"");
  append_rfc3339(out, timestamp);
  out.append("\",\"value\":");
  append_json_value(out, value);
  if ((flags & sample_flag(SampleFlag::clock_skew)) != 0) {
    out.append(",\"flags\":[\"clock_skew\"]");
  }
}

}  // namespace skerry::twin
