// Values, keys and instants as text: the pieces that every answer and every event is made of.
// Numbers are written in the shortest form that reads back exactly. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include "twin/sample.hpp"

namespace skerry::twin {

/// The same value; its text lives as long as `value`.
Value view_of(const StoredValue& value) noexcept;

void append_number(std::string& out, std::int64_t number);
void append_number(std::string& out, double number);

/// With its quotes (RFC 8259 section 7). `text` must be valid UTF-8.
void append_json_string(std::string& out, std::string_view text);

/// `null` for numbers that JSON has no word for.
void append_json_value(std::string& out, const Value& value);

/// A text as append_csv_cell() writes it, numbers as they are.
void append_csv_value(std::string& out, const Value& value);

/// The members "ts", "value" and, when there are any, "flags", without braces.
void append_json_members(std::string& out, std::int64_t timestamp, const Value& value,
                         std::uint8_t flags);

}  // namespace skerry::twin
