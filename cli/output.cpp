// What the commands print.
#include "cli/output.hpp"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <ostream>

namespace skerry::cli {
namespace {

/// Characters as they count on a terminal, roughly: UTF-8 continuation bytes take no room.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

void append_json(std::string& out, const boost::json::value& value) {
  if (value.is_double()) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value.get_double());
    out.append(text.data(), end.ptr);
  } else if (value.is_array()) {
    const char* separator = "[";
    for (const boost::json::value& item : value.get_array()) {
      out.append(separator);
      append_json(out, item);
      separator = ",";
    }
    out.append(value.get_array().empty() ? "[]" : "]");
  } else if (value.is_object()) {
    const char* separator = "{";
    for (const auto& member : value.get_object()) {
      out.append(separator).append(boost::json::serialize(member.key())).append(":");
      append_json(out, member.value());
      separator = ",";
    }
    out.append(value.get_object().empty() ? "{}" : "}");
  } else {
    out.append(boost::json::serialize(value));
  }
}

}  // namespace

std::string json_text(const boost::json::value& value) {
  std::string text;
  append_json(text, value);
  return text;
}

std::string visible(const std::string& text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string shown;
  for (std::size_t index = 0; index < text.size(); ++index) {
    const auto byte = static_cast<unsigned char>(text[index]);
    // C1 controls (U+0080 to U+009F) are 0xc2 and a byte below 0xa0 in UTF-8.
    const bool is_c1 = byte >= 0x80 && byte < 0xa0 && index > 0 && text[index - 1] == '\xc2';
    const bool starts_c1 = byte == 0xc2 && index + 1 < text.size() &&
                           static_cast<unsigned char>(text[index + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f || starts_c1 || is_c1) {
      shown.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
    } else {
      shown += text[index];
    }
  }
  return shown;
}

void print_table(std::ostream& out, const Row& header, const std::vector<Row>& rows) {
  std::vector<Row> lines{header};
  lines.insert(lines.end(), rows.begin(), rows.end());
  std::vector<std::size_t> widths(header.size(), 0);
  for (Row& line : lines) {
    line.resize(header.size());
    for (std::size_t column = 0; column < line.size(); ++column) {
      line[column] = visible(line[column]);
      widths[column] = std::max(widths[column], width_of(line[column]));
    }
  }
  for (const Row& line : lines) {
    std::string text;
    for (std::size_t column = 0; column < line.size(); ++column) {
      text += line[column];
      if (column + 1 < line.size()) {
        text.append(widths[column] - width_of(line[column]) + 2, ' ');
      }
    }
    out << text << '\n';
  }
}

std::string cell(const boost::json::value* value) {
  if (value == nullptr || value->is_null()) {
    return "-";
  }
  if (value->is_string()) {
    return std::string{value->get_string()};
  }
  if (value->is_double()) {  // 21.5, where the JSON library would write 2.15E1
    char text[32];
    const auto written = std::to_chars(std::begin(text), std::end(text), value->get_double());
    return {std::begin(text), written.ptr};
  }
  return boost::json::serialize(*value);
}

}  // namespace skerry::cli
