#include "twin/device_topic.hpp"

#include <algorithm>

namespace skerry::twin {
namespace {

bool is_alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

bool is_device_id(std::string_view id) noexcept {
  if (id.empty() || id.size() > 64 || !is_alphanumeric(id.front())) {
    return false;
  }
  if (id == "sub" || id == "pub" || id == "health") {
    return false;
  }
  return std::all_of(id.begin(), id.end(), [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == '~' || c == '-';
  });
}

std::optional<TelemetryTopic> split_telemetry_topic(std::string_view topic) noexcept {
  constexpr std::string_view prefix = "devices/";
  if (!topic.starts_with(prefix)) {
    return std::nullopt;
  }
  topic.remove_prefix(prefix.size());
  const std::size_t slash = topic.find('/');
  if (slash == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view device = topic.substr(0, slash);
  const std::string_view rest = topic.substr(slash + 1);
  if (rest == "telemetry") {
    return TelemetryTopic{device, TelemetryFormat::json};
  }
  if (rest == "telemetry/senml") {
    return TelemetryTopic{device, TelemetryFormat::senml_json};
  }
  if (rest == "telemetry/cbor") {
    return TelemetryTopic{device, TelemetryFormat::senml_cbor};
  }
  return std::nullopt;
}

}  // namespace skerry::twin
