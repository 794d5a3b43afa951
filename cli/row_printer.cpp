// Rows that come one after the other.
#include "cli/row_printer.hpp"

#include <algorithm>
#include <ostream>

namespace skerry::cli {
namespace {

/// Of an instant; other columns are rarely longer than their title.
constexpr std::size_t time_width = 24;

}  // namespace

RowPrinter::RowPrinter(Session& session, std::vector<Column> columns, bool ends)
    : session_(session), columns_(std::move(columns)), ends_(ends) {
  for (const Column& column : columns_) {
    widths_.push_back(column.path == "ts" || column.path == "time" ? time_width : 8);
  }
}

void RowPrinter::print_head() {
  Row head;
  for (const Column& column : columns_) {
    head.push_back(session_.output == Output::csv ? column.path : column.title);
  }
  if (session_.output == Output::csv) {
    print_csv_line(session_.out, head);
  } else {
    print_table_line(session_.out, head, widths_);
  }
}

Row RowPrinter::cells_of(const boost::json::object& row) const {
  Row cells;
  for (const Column& column : columns_) {
    std::string text = column.text ? column.text(row) : cell(member_at(row, column.path));
    cells.push_back(text == "-" && session_.output == Output::csv ? std::string{}
                                                                  : std::move(text));
  }
  return cells;
}

void RowPrinter::print(const boost::json::object& row) {
  const bool lines = session_.output == Output::table || session_.output == Output::csv;
  if (count_++ == 0 && lines && !session_.quiet) {
    print_head();
  }
  switch (session_.output) {
    case Output::table:
      print_table_line(session_.out, cells_of(row), widths_);
      break;
    case Output::json:
      if (ends_) {
        session_.out << (count_ == 1 ? "[" : ",") << json_text(row);
      } else {
        session_.out << json_text(row) << '\n';
      }
      break;
    case Output::yaml:
      if (ends_) {
        session_.out << yaml_text(boost::json::array{row});
      } else {
        session_.out << "---\n" << yaml_text(row);
      }
      break;
    case Output::csv:
      print_csv_line(session_.out, cells_of(row));
      break;
  }
}

void RowPrinter::finish() {
  if (session_.output == Output::json) {
    session_.out << (count_ == 0 ? "[]\n" : "]\n");
  } else if (session_.output == Output::yaml && count_ == 0) {
    session_.out << "[]\n";
  }
}

bool LineCutter::feed(std::string_view part, const std::function<bool(std::string_view)>& visit) {
  rest_.append(part);
  std::size_t at = 0;
  for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', at)) {
    if (!visit(std::string_view(rest_).substr(at, end - at))) {
      return false;
    }
    at = end + 1;
  }
  rest_.erase(0, at);
  return true;
}

}  // namespace skerry::cli
