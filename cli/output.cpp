// What the commands print.
#include "cli/output.hpp"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <ostream>

#include "base/csv_cell.hpp"

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

void print_table_line(std::ostream& out, Row line, std::vector<std::size_t>& widths) {
  widths.resize(std::max(widths.size(), line.size()), 0);
  std::string text;
  for (std::size_t column = 0; column < line.size(); ++column) {
    line[column] = visible(line[column]);
    const std::size_t width = width_of(line[column]);
    widths[column] = std::max(widths[column], width);
    text += line[column];
    if (column + 1 < line.size()) {
      text.append(widths[column] - width + 2, ' ');
    }
  }
  out << text << '\n';
}

void print_table(std::ostream& out, const Row& header, const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(header.size(), 0);
  const auto measure = [&](const Row& line) {
    for (std::size_t column = 0; column < std::min(line.size(), widths.size()); ++column) {
      widths[column] = std::max(widths[column], width_of(visible(line[column])));
    }
  };
  measure(header);
  std::for_each(rows.begin(), rows.end(), measure);
  print_table_line(out, header, widths);
  for (Row line : rows) {
    line.resize(header.size());
    print_table_line(out, std::move(line), widths);
  }
}

void print_csv_line(std::ostream& out, const Row& line) {
  std::string text;
  for (const std::string& value : line) {
    text += &value == &line.front() ? "" : ",";
    if (value == "-") {
      text += value;  // nothing
    } else {
      append_csv_cell(text, value);
    }
  }
  out << text << '\n';
}

const boost::json::value* member_at(const boost::json::object& object, std::string_view path) {
  // A name may have dots of its own.
  if (const boost::json::value* whole = object.if_contains(path)) {
    return whole;
  }
  const std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) {
    return nullptr;
  }
  const boost::json::value* inner = object.if_contains(path.substr(0, dot));
  return inner != nullptr && inner->is_object()
             ? member_at(inner->get_object(), path.substr(dot + 1))
             : nullptr;
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
  if (value->is_array()) {
    std::string joined;
    for (const boost::json::value& item : value->get_array()) {
      joined += (joined.empty() ? "" : ",") + cell(&item);
    }
    return joined.empty() ? "-" : joined;
  }
  return boost::json::serialize(*value);
}

std::vector<Row> rows_of(const boost::json::object& object) {
  std::vector<Row> rows;
  for (const auto& member : object) {
    const std::string name{member.key()};
    if (!member.value().is_object()) {
      rows.push_back({name, cell(&member.value())});
      continue;
    }
    for (Row& row : rows_of(member.value().get_object())) {
      rows.push_back({name + "." + row.front(), std::move(row.back())});
    }
  }
  return rows;
}

void print_object(Session& session, const boost::json::value& value, const std::vector<Row>& rows) {
  switch (session.output) {
    case Output::json:
      session.out << json_text(value) << '\n';
      return;
    case Output::yaml:
      session.out << yaml_text(value);
      return;
    case Output::csv:
      print_csv_line(session.out, {"field", "value"});
      for (const Row& row : rows) {
        print_csv_line(session.out, row);
      }
      return;
    case Output::table:
      break;
  }
  print_table(session.out, {"FIELD", "VALUE"}, rows);
}

void print_done(Session& session, const std::string& sentence) {
  if (!session.quiet && session.output == Output::table) {
    session.out << visible(sentence) << '\n';
  }
}

}  // namespace skerry::cli
