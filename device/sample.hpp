// Readings: named values of one instant, and the JSON in which they leave.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace skerry::agent {

using Value = std::variant<double, std::int64_t, bool, std::string>;

struct Reading {
  std::string key;
  Value value;

  bool operator==(const Reading&) const = default;
};

using Readings = std::vector<Reading>;

/// `{"a":1,"b":true}`. A number that JSON cannot say (NaN, infinite) is left out.
std::string json_object(const Readings& readings);

/// With quotation marks; control characters escaped, other bytes as they are.
std::string json_string(std::string_view text);

}  // namespace skerry::agent
