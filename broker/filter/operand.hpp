// From the text of a value to everything it can mean. Inside the folder only.
#pragma once

#include <string_view>

#include "filter/term.hpp"

namespace skerry::filter {

/// A value as the lexer found it: `parts` are split at the wildcards. Booleans are never quoted.
Operand make_operand(std::vector<std::string> parts, bool quoted);

/// "2026-11-25", "2026-11-25T10:30", "2026-11-25T10:30:00.5+01:00", "-7d", "+90m", "now".
/// Units are s, m, h, d, w. Without a zone UTC is meant. 0001 … 9999.
std::optional<TimeLiteral> parse_time_literal(std::string_view text);

/// A decimal number, all of the text, finite.
std::optional<double> parse_number(std::string_view text) noexcept;

}  // namespace skerry::filter
