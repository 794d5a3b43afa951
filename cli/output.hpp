// What the commands print: tables for people, JSON for programs.
#pragma once

#include <boost/json/value.hpp>
#include <iosfwd>
#include <string>
#include <vector>

namespace skerry::cli {

using Row = std::vector<std::string>;

/// Columns as wide as their widest cell, two blanks between. Control characters in cells, which may
/// come from devices, are shown as "\x1b" and the like, so that nothing can play with the terminal.
void print_table(std::ostream& out, const Row& header, const std::vector<Row>& rows);

/// A cell's text: strings as they are, everything else as JSON; "-" for null and absent.
std::string cell(const boost::json::value* value);

/// JSON with numbers in their shortest form: 21.5 and not 2.15E1.
std::string json_text(const boost::json::value& value);

/// `text` with control characters made visible.
std::string visible(const std::string& text);

}  // namespace skerry::cli
