#include "twin/telemetry_parser.hpp"

#include <optional>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "twin/json_parse.hpp"
#include "twin/text_arena.hpp"

namespace skerry::twin {
namespace {

namespace dom = simdjson::dom;

/// Levels the JSON parser itself allows: array, object, `values`, then nested objects.
constexpr std::size_t json_depth_max = telemetry_depth_max + 4;

constexpr TelemetryError too_deep{"objects are nested too deep"};
constexpr TelemetryError not_object{"telemetry must be an object or an array of objects"};
constexpr TelemetryError ts_not_integer{"ts must be an integer of epoch milliseconds"};
constexpr TelemetryError ts_out_of_range{"ts lies outside the years 1 to 9999"};
constexpr TelemetryError ts_twice{"ts is given twice"};
constexpr TelemetryError values_not_alone{"beside values only ts is allowed"};
constexpr TelemetryError no_values{"there is no value"};
constexpr TelemetryError array_value{"arrays as values are not supported"};
constexpr TelemetryError too_many{"there are too many values in one message"};
constexpr TelemetryError key_empty{"a key is empty"};
constexpr TelemetryError key_too_long{"a key is too long"};
constexpr TelemetryError key_control{"a key holds a control character"};
constexpr TelemetryError string_too_long{"a string value is too long"};

/// U+0000 … U+001F, U+007F and U+0080 … U+009F; `key` is valid UTF-8.
bool has_control_character(std::string_view key) noexcept {
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(key[i]);
    if (byte < 0x20 || byte == 0x7f) {
      return true;
    }
    if (byte == 0xc2 && i + 1 < key.size() && static_cast<std::uint8_t>(key[i + 1]) < 0xa0) {
      return true;
    }
  }
  return false;
}

}  // namespace

struct TelemetryParser::Impl {
  using Failure = std::optional<TelemetryError>;

  struct Instant {
    std::int64_t timestamp = 0;
    std::uint8_t flags = 0;
  };

  Failure parse_document(dom::element root);
  Failure parse_message(dom::object object);
  Failure parse_timestamp(dom::element element, Instant& instant) const;
  Failure parse_member(std::string_view key, dom::element element, Instant instant);
  Failure parse_nested(dom::object object, Instant instant);
  Failure parse_scalar(dom::element element, std::string_view key, Instant instant);

  JsonParser json{json_depth_max};
  TextArena keys;    ///< at most samples_max · key_bytes_max
  std::string path;  ///< prefix of the keys in the object at hand, with its last '.'
  std::size_t depth = 0;
  std::size_t values_seen = 0;  ///< nulls too
  std::int64_t arrival = 0;
  std::vector<Sample> samples;
};

auto TelemetryParser::Impl::parse_document(dom::element root) -> Failure {
  if (root.is_object()) {
    return parse_message(root.get_object().value_unsafe());
  }
  if (!root.is_array()) {
    return not_object;
  }
  const dom::array messages = root.get_array().value_unsafe();
  for (const dom::element message : messages) {
    if (!message.is_object()) {
      return not_object;
    }
    if (const Failure failure = parse_message(message.get_object().value_unsafe())) {
      return failure;
    }
  }
  return samples.empty() && messages.begin() == messages.end() ? Failure{no_values} : Failure{};
}

auto TelemetryParser::Impl::parse_message(dom::object object) -> Failure {
  Instant instant{arrival, 0};
  std::optional<dom::object> values;
  std::size_t members = 0;
  bool has_ts = false;
  for (const dom::key_value_pair member : object) {
    if (member.key == "ts") {
      if (has_ts) {
        return ts_twice;
      }
      has_ts = true;
      if (const Failure failure = parse_timestamp(member.value, instant)) {
        return failure;
      }
      continue;
    }
    ++members;
    if (member.key == "values" && member.value.is_object()) {
      values = member.value.get_object().value_unsafe();
    }
  }
  if (values && members > 1) {
    return values_not_alone;
  }
  const std::size_t seen_before = values_seen;
  for (const dom::key_value_pair member : values ? *values : object) {
    if (!values && member.key == "ts") {
      continue;
    }
    if (const Failure failure = parse_member(member.key, member.value, instant)) {
      return failure;
    }
  }
  return values_seen == seen_before ? Failure{no_values} : Failure{};
}

auto TelemetryParser::Impl::parse_timestamp(dom::element element, Instant& instant) const
    -> Failure {
  if (element.is_uint64() && !element.is_int64()) {
    return ts_out_of_range;
  }
  if (element.get_int64().get(instant.timestamp) != simdjson::SUCCESS) {
    return ts_not_integer;
  }
  if (instant.timestamp < timestamp_min || instant.timestamp > timestamp_max) {
    return ts_out_of_range;
  }
  instant.flags = flags_of(instant.timestamp, arrival);
  return {};
}

auto TelemetryParser::Impl::parse_member(std::string_view key, dom::element element,
                                         Instant instant) -> Failure {
  if (key.empty()) {
    return key_empty;
  }
  if (path.size() + key.size() > telemetry_key_bytes_max) {
    return key_too_long;
  }
  if (has_control_character(key)) {
    return key_control;
  }
  if (element.is_array()) {
    return array_value;
  }
  if (!element.is_object()) {
    return parse_scalar(element, key, instant);
  }
  if (depth == telemetry_depth_max) {
    return too_deep;
  }
  const std::size_t path_size = path.size();
  path.append(key).push_back('.');
  ++depth;
  const Failure failure = parse_nested(element.get_object().value_unsafe(), instant);
  --depth;
  path.resize(path_size);
  return failure;
}

// The recursion is at most telemetry_depth_max deep.
auto TelemetryParser::Impl::parse_nested(dom::object object, Instant instant) -> Failure {
  for (const dom::key_value_pair member : object) {
    if (const Failure failure = parse_member(member.key, member.value, instant)) {
      return failure;
    }
  }
  return {};
}

auto TelemetryParser::Impl::parse_scalar(dom::element element, std::string_view key,
                                         Instant instant) -> Failure {
  ++values_seen;
  Sample sample{key, instant.timestamp, {}, instant.flags};
  switch (element.type()) {
    case dom::element_type::NULL_VALUE:
      return {};
    case dom::element_type::INT64:
      sample.value = element.get_int64().value_unsafe();
      break;
    case dom::element_type::UINT64:  // Only numbers beyond 2^63 − 1 have this type.
      sample.value = static_cast<double>(element.get_uint64().value_unsafe());
      break;
    case dom::element_type::DOUBLE:
      sample.value = element.get_double().value_unsafe();
      break;
    case dom::element_type::BOOL:
      sample.value = element.get_bool().value_unsafe();
      break;
    case dom::element_type::STRING:
      sample.value = element.get_string().value_unsafe();
      if (std::get<std::string_view>(sample.value).size() > telemetry_string_bytes_max) {
        return string_too_long;
      }
      break;
    case dom::element_type::ARRAY:
    case dom::element_type::OBJECT:
      return array_value;
  }
  if (samples.size() == telemetry_samples_max) {
    return too_many;
  }
  if (!path.empty()) {
    const std::size_t path_size = path.size();
    sample.key = keys.keep(path.append(key));
    path.resize(path_size);
  }
  samples.push_back(sample);
  return {};
}

TelemetryParser::TelemetryParser() : impl_(std::make_unique<Impl>()) {}
TelemetryParser::~TelemetryParser() = default;
TelemetryParser::TelemetryParser(TelemetryParser&&) noexcept = default;
TelemetryParser& TelemetryParser::operator=(TelemetryParser&&) noexcept = default;

Result<std::span<const Sample>, TelemetryError> TelemetryParser::parse(Bytes payload,
                                                                       WallTime arrival) {
  Impl& impl = *impl_;
  const auto root = impl.json.parse(payload);
  if (root.has_error()) {
    return root.error();
  }
  impl.samples.clear();
  impl.keys.reset();
  impl.path.clear();
  impl.depth = 0;
  impl.values_seen = 0;
  impl.arrival = epoch_milliseconds(arrival);
  if (const auto failure = impl.parse_document(*root)) {
    return *failure;
  }
  return std::span<const Sample>{impl.samples};
}

}  // namespace skerry::twin
