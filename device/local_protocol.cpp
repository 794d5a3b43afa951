#include "device/local_protocol.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <limits>

#include "device/limits.hpp"

namespace skerry::agent {

namespace {

namespace json = boost::json;

using Parsed = Result<LocalMessage, std::string_view>;
using Sentence = std::string_view;

constexpr std::array<std::string_view, 4> severities{"info", "warning", "error", "critical"};
constexpr std::int64_t timestamp_max = 253'402'300'799'999;  // the end of the year 9999
/// What the agent says of itself and of the device; nobody else may.
constexpr std::array<std::string_view, 2> reserved{"system.", "agent."};

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Empty when the key may be used.
Sentence check_key(std::string_view key) {
  const bool plain = std::all_of(key.begin(), key.end(), [](char c) {
    return is_letter_or_digit(c) || std::string_view{"._-:/~"}.find(c) != std::string_view::npos;
  });
  if (key.empty() || key.size() > key_bytes_max || !plain) {
    return "a key is letters, digits and . _ - : / ~, 128 at most";
  }
  for (const std::string_view prefix : reserved) {
    if (key.starts_with(prefix)) {
      return "keys that begin with system. and agent. are the agent's own";
    }
  }
  return {};
}

Result<Value, Sentence> value_of(const json::value& node) {
  switch (node.kind()) {
    case json::kind::bool_:
      return Value{node.get_bool()};
    case json::kind::int64:
      return Value{node.get_int64()};
    case json::kind::uint64:
      return Value{static_cast<double>(node.get_uint64())};
    case json::kind::double_:
      if (!std::isfinite(node.get_double())) {
        return Sentence{"a number is out of range"};
      }
      return Value{node.get_double()};
    case json::kind::string:
      if (node.get_string().size() > value_bytes_max) {
        return Sentence{"a text value is longer than 1024 bytes"};
      }
      return Value{std::string{node.get_string()}};
    case json::kind::null:
    case json::kind::array:
    case json::kind::object:
      break;
  }
  return Sentence{"a value is a number, a text, true or false"};
}

Sentence add_reading(Readings& readings, std::string_view key, const json::value& node) {
  if (const Sentence wrong = check_key(key); !wrong.empty()) {
    return wrong;
  }
  auto value = value_of(node);
  if (!value) {
    return value.error();
  }
  readings.push_back({std::string{key}, *std::move(value)});
  return {};
}

bool has_only(const json::object& object, std::initializer_list<std::string_view> names) {
  return std::all_of(object.begin(), object.end(), [&](const auto& member) {
    return std::find(names.begin(), names.end(), std::string_view{member.key()}) != names.end();
  });
}

Parsed parse_metric(const json::object& object) {
  const json::value* value = object.if_contains("value");
  const json::value& name = object.at("metric");
  if (value == nullptr || !name.is_string() || !has_only(object, {"metric", "value", "ts"})) {
    return Sentence{"a metric has \"metric\" (text), \"value\" and perhaps \"ts\""};
  }
  LocalMetrics metrics;
  if (const Sentence wrong = add_reading(metrics.readings, name.get_string(), *value);
      !wrong.empty()) {
    return wrong;
  }
  return LocalMessage{std::move(metrics), {}};
}

Parsed parse_values(const json::object& object) {
  const json::value& values = object.at("values");
  if (!values.is_object() || values.get_object().empty() || !has_only(object, {"values", "ts"})) {
    return Sentence{"\"values\" is an object of keys and values, beside it only \"ts\""};
  }
  if (values.get_object().size() > line_values_max) {
    return Sentence{"more than 64 values in one line"};
  }
  LocalMetrics metrics;
  for (const auto& member : values.get_object()) {
    if (const Sentence wrong = add_reading(metrics.readings, member.key(), member.value());
        !wrong.empty()) {
      return wrong;
    }
  }
  return LocalMessage{std::move(metrics), {}};
}

Parsed parse_alarm(const json::object& object) {
  if (!has_only(object, {"alarm", "severity", "text", "data", "ts"})) {
    return Sentence{"an alarm has \"alarm\", \"severity\", \"text\", \"data\" and \"ts\", no more"};
  }
  const json::value& name = object.at("alarm");
  if (!name.is_string() || !is_alarm_name(name.get_string())) {
    return Sentence{"an alarm's name is letters, digits and . _ -, 64 at most"};
  }
  LocalAlarm alarm;
  alarm.name = std::string{name.get_string()};
  alarm.severity = "warning";
  if (const json::value* severity = object.if_contains("severity")) {
    const std::string_view word =
        severity->is_string() ? std::string_view{severity->get_string()} : std::string_view{};
    if (std::find(severities.begin(), severities.end(), word) == severities.end()) {
      return Sentence{"\"severity\" is info, warning, error or critical"};
    }
    alarm.severity = std::string{word};
  }
  if (const json::value* text = object.if_contains("text")) {
    if (!text->is_string() || text->get_string().size() > alarm_text_bytes_max) {
      return Sentence{"\"text\" is a text of at most 4096 bytes"};
    }
    alarm.text = std::string{text->get_string()};
  }
  if (const json::value* data = object.if_contains("data")) {
    if (!data->is_object()) {
      return Sentence{"\"data\" is an object"};
    }
    alarm.data = json::serialize(*data);
  }
  return LocalMessage{std::move(alarm), {}};
}

/// Empty, with `message.time` set, when "ts" is absent or good.
Sentence read_time(const json::object& object, LocalMessage& message) {
  const json::value* ts = object.if_contains("ts");
  if (ts == nullptr) {
    return {};
  }
  if (!ts->is_int64() || ts->get_int64() < plausible_wall_milliseconds ||
      ts->get_int64() > timestamp_max) {
    return "\"ts\" is a whole number of epoch milliseconds, not before 2024";
  }
  message.time = wall_from_epoch(ts->get_int64());
  return {};
}

Parsed dispatch(const json::object& object) {
  const int kinds = static_cast<int>(object.contains("metric")) +
                    static_cast<int>(object.contains("values")) +
                    static_cast<int>(object.contains("alarm"));
  if (kinds != 1) {
    return Sentence{"a line has one of \"metric\", \"values\" and \"alarm\""};
  }
  if (object.contains("metric")) {
    return parse_metric(object);
  }
  return object.contains("values") ? parse_values(object) : parse_alarm(object);
}

}  // namespace

bool is_alarm_name(std::string_view name) {
  return !name.empty() && name.size() <= alarm_name_bytes_max &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
         });
}

Result<LocalMessage, std::string_view> parse_local_line(std::string_view line) {
  if (line.size() > line_bytes_max) {
    return Sentence{"a line is longer than 16 KiB"};
  }
  json::parse_options options;
  options.max_depth = line_depth_max;
  boost::system::error_code error;
  json::monotonic_resource memory;
  const json::value node = json::parse(line, error, &memory, options);
  if (error || !node.is_object()) {
    return Sentence{error == json::error::too_deep ? "objects are nested too deep"
                                                   : "a line is one JSON object"};
  }
  Parsed parsed = dispatch(node.get_object());
  if (parsed) {
    if (const Sentence wrong = read_time(node.get_object(), *parsed); !wrong.empty()) {
      return wrong;
    }
  }
  return parsed;
}

}  // namespace skerry::agent
