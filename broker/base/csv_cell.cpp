#include "base/csv_cell.hpp"

#include <charconv>

namespace skerry {
namespace {

constexpr char armour = '\'';

bool begins_formula(std::string_view text) noexcept {
  return !text.empty() && std::string_view{"=+-@\t\r"}.find(text.front()) != std::string_view::npos;
}

bool is_number(std::string_view text) noexcept {
  double ignored = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, ignored);
  return error == std::errc{} && at == end &&
         text.find_first_not_of("0123456789.eE+-") == std::string_view::npos;
}

/// Behind an apostrophe these would be taken for an armed text, or one that was disarmed.
bool looks_disarmed(std::string_view text) noexcept {
  return text.size() > 1 && text.front() == armour &&
         (text[1] == armour || begins_formula(text.substr(1)));
}

}  // namespace

void append_csv_cell(std::string& out, std::string_view text) {
  const bool needs_armour = (begins_formula(text) && !is_number(text)) || looks_disarmed(text);
  const bool needs_quotes = text.find_first_of(",\"\r\n") != std::string_view::npos ||
                            text.starts_with(' ') || text.ends_with(' ');
  if (needs_quotes) {
    out += '"';
  }
  if (needs_armour) {
    out += armour;
  }
  for (const char c : text) {
    out.append(c == '"' ? 2 : 1, c);
  }
  if (needs_quotes) {
    out += '"';
  }
}

std::string_view text_of_csv_cell(std::string_view cell) noexcept {
  return looks_disarmed(cell) ? cell.substr(1) : cell;
}

}  // namespace skerry
