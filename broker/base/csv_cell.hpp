// A text as a cell of CSV (RFC 4180) that a spreadsheet takes for text as well. A program that
// opens a file runs cells which begin like a formula; such a cell gets an apostrophe in front, as
// OWASP advises ("CSV Injection"), and loses it again when the file is imported.
//
//   =1+1  →  '=1+1      -12.5  →  -12.5 (a number is none)      '=x  →  ''=x      'x  →  'x
#pragma once

#include <string>
#include <string_view>

namespace skerry {

/// Appends `text`, disarmed, and in quotes when it holds a comma, a quote or a line break or has
/// blanks at its ends, which many programs would trim. For texts that others have chosen.
void append_csv_cell(std::string& out, std::string_view text);

/// The text that append_csv_cell() was given, from the cell without its quotes.
std::string_view text_of_csv_cell(std::string_view cell) noexcept;

}  // namespace skerry
