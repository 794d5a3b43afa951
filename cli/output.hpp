// What the commands print: tables for people; JSON, YAML and CSV for programs.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "cli/session.hpp"

namespace skerry::cli {

using Row = std::vector<std::string>;

/// Columns as wide as their widest cell, two blanks between. Control characters in cells, which may
/// come from devices, are shown as "\x1b" and the like, so that nothing can play with the terminal.
void print_table(std::ostream& out, const Row& header, const std::vector<Row>& rows);

/// One line with at least these widths of columns, which grow with it.
void print_table_line(std::ostream& out, Row line, std::vector<std::size_t>& widths);

/// RFC 4180, with plain line feeds: a cell with a comma, a quote or a line break is quoted.
void print_csv_line(std::ostream& out, const Row& line);

/// A cell's text: strings as they are, lists by commas, everything else as JSON; "-" for null and
/// absent.
std::string cell(const boost::json::value* value);

/// The member at "a.b" below `object`; null when there is none.
const boost::json::value* member_at(const boost::json::object& object, std::string_view path);

/// JSON with numbers in their shortest form: 21.5 and not 2.15E1.
std::string json_text(const boost::json::value& value);

/// The same as YAML 1.2, in blocks; ends with a line feed. `depth` is how far it is indented.
std::string yaml_text(const boost::json::value& value, std::size_t depth = 0);

/// `text` with control characters made visible.
std::string visible(const std::string& text);

/// A column of a list: what stands above it and where its cell comes from.
struct Column {
  std::string title;  ///< "CREATED"
  std::string path;   ///< "createdAt"; also names it in CSV
  std::function<std::string(const boost::json::object&)> text =
      {};  ///< instead of the path's value
};

/// One thing: as JSON, YAML, CSV (field, value) or a table of these rows.
void print_object(Session& session, const boost::json::value& value, const std::vector<Row>& rows);

/// The rows of an object's members, nested ones by dots: good enough where no table is made by
/// hand.
std::vector<Row> rows_of(const boost::json::object& object);

/// A sentence about what was done; only for people, and not with --quiet.
void print_done(Session& session, const std::string& sentence);

}  // namespace skerry::cli
