// What other programs of the device may say on the local socket: one JSON object a line.
//
//   {"metric":"pressure","value":3.2}            {"values":{"pressure":3.2,"valve":"open"}}
//   {"alarm":"overheat","severity":"critical","text":"91 degrees","data":{"limit":85}}
//
// each with "ts" (epoch milliseconds) if it did not happen now. The answer is {"ok":true} when it
// is in the spool, or {"error":"…"}. Lines are hostile: caps in limits.hpp, nothing is half taken.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "device/sample.hpp"
#include "base/now.hpp"
#include "base/result.hpp"

namespace skerry::agent {

struct LocalMetrics {
  Readings readings;  ///< at least one
};

struct LocalAlarm {
  std::string name;
  std::string severity;
  std::string text;
  std::string data;  ///< JSON of an object; empty: none
};

struct LocalMessage {
  std::variant<LocalMetrics, LocalAlarm> what;
  std::optional<WallTime> time;
};

/// Or a static sentence that says what is wrong. Never throws; memory is bounded by the line.
Result<LocalMessage, std::string_view> parse_local_line(std::string_view line);

/// A part of a topic: letters, digits, '.', '_', '-', at most alarm_name_bytes_max.
bool is_alarm_name(std::string_view name);

}  // namespace skerry::agent
