// Cells of CSV: quotes, and what a spreadsheet must not take for a formula.
#include "base/csv_cell.hpp"

#include <doctest/doctest.h>

using namespace skerry;

namespace {

std::string cell(std::string_view text) {
  std::string out;
  append_csv_cell(out, text);
  return out;
}

}  // namespace

TEST_CASE("what begins like a formula gets an apostrophe, numbers stay numbers") {
  CHECK(cell("=1+1") == "'=1+1");
  CHECK(cell("+49 30 1") == "'+49 30 1");
  CHECK(cell("@SUM(A1)") == "'@SUM(A1)");
  CHECK(cell("-2+3+cmd|' /C calc'!A0") == "'-2+3+cmd|' /C calc'!A0");
  CHECK(cell("\t=1") == "'\t=1");
  CHECK(cell("\r=1") == "\"'\r=1\"");
  CHECK(cell("=HYPERLINK(\"http://x\",\"y\")") == "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
  for (const char* plain :
       {"-12.5", "-1e-9", "7", "a=1", "pump-7", "'quoted'", "'", "", "2027-01-01T00:00:00Z"}) {
    CHECK(cell(plain) == plain);
  }
  for (const char* word : {"-inf", "-nan", "-", "--1", "-1,5"}) {
    CHECK(cell(word).find('\'') != std::string::npos);
  }
}

TEST_CASE("quotes stand where RFC 4180 wants them and around blanks at the ends") {
  CHECK(cell("a,b") == "\"a,b\"");
  CHECK(cell("a\"b") == "\"a\"\"b\"");
  CHECK(cell(" a") == "\" a\"");
  CHECK(cell("a b") == "a b");
}

TEST_CASE("a cell gives back the text that it was made of") {
  const std::string alphabet = "'=-@1a\t";
  for (std::size_t number = 0; number < 7 * 7 * 7 * 7; ++number) {
    std::string text;
    for (std::size_t rest = number; rest > 0; rest /= 7) {
      text += alphabet[rest % 7];
    }
    CHECK(text_of_csv_cell(cell(text)) == text);
  }
}
