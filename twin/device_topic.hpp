// Device ids and the telemetry topics that carry them. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace skerry::twin {

/// `[A-Za-z0-9][A-Za-z0-9._~-]{0,63}` and none of `sub`, `pub`, `health`, which are levels of
/// topics that other agents use. An id therefore never holds a NUL, so storage keys may use one
/// behind it.
bool is_device_id(std::string_view id) noexcept;

/// How the payload of a telemetry topic is written when no Content-Type says otherwise.
enum class TelemetryFormat : std::uint8_t { json, senml_json, senml_cbor };

struct TelemetryTopic {
  std::string_view device;  ///< not yet judged by is_device_id()
  TelemetryFormat format = TelemetryFormat::json;
};

/// Cuts `devices/{id}/telemetry`, `…/telemetry/senml`, `…/telemetry/cbor`; nullopt for all others.
std::optional<TelemetryTopic> split_telemetry_topic(std::string_view topic) noexcept;

}  // namespace skerry::twin
