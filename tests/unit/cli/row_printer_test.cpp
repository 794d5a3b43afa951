// Rows that come one after the other, in every format.
#include "cli/row_printer.hpp"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <sstream>

using namespace skerry::cli;

namespace {

std::string printed(Output output, bool ends, int rows = 2) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Session session{in, out, err, {}, {}};
  session.output = output;
  RowPrinter printer{session, {{"TIME", "ts"}, {"VALUE", "value"}}, ends};
  if (rows > 0) {
    printer.print(boost::json::parse(R"({"ts":"t1","value":"a,b\u001b"})").as_object());
  }
  if (rows > 1) {
    printer.print(boost::json::parse(R"({"ts":"t2","value":null})").as_object());
  }
  if (ends) {
    printer.finish();
  }
  return out.str();
}

}  // namespace

TEST_CASE("rows are printed in the format that was asked for") {
  CHECK(printed(Output::json, true) ==
        "[{\"ts\":\"t1\",\"value\":\"a,b\\u001b\"},{\"ts\":\"t2\",\"value\":null}]\n");
  CHECK(printed(Output::json, true, 0) == "[]\n");
  CHECK(printed(Output::json, false) ==
        "{\"ts\":\"t1\",\"value\":\"a,b\\u001b\"}\n{\"ts\":\"t2\",\"value\":null}\n");
  CHECK(printed(Output::csv, true) == "ts,value\nt1,\"a,b\x1b\"\nt2,\n");
  const std::string table = printed(Output::table, true);
  CHECK(table.starts_with("TIME"));
  CHECK(table.find('\x1b') == std::string::npos);
  CHECK(printed(Output::table, true, 0).empty());
  CHECK(printed(Output::yaml, false).starts_with("---\n"));
  CHECK(printed(Output::yaml, true).starts_with("- "));
}

TEST_CASE("lines come whole, whatever parts they arrive in") {
  LineCutter lines;
  std::string seen;
  const auto note = [&seen](std::string_view line) {
    seen.append("<").append(line).append(">");
    return line != "stop";
  };
  CHECK(lines.feed("a", note));
  CHECK(lines.feed("b\n\nc", note));
  CHECK(lines.feed("\nd", note));
  CHECK(seen == "<ab><><c>");
  CHECK(lines.rest() == "d");
  CHECK_FALSE(lines.feed("\nstop\nmore\n", note));
  CHECK(seen == "<ab><><c><d><stop>");
}
