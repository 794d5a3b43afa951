// What a workload consists of, by its name in the tables of docs/status.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace skerry::load {

/// `publishers` are dealt to `subscribers` in equal shares, or the one publisher reaches them all.
struct Workload {
  std::string_view name;
  std::uint32_t publishers = 0;
  std::uint32_t subscribers = 0;
  std::uint32_t payload_bytes = 0;
  int qos = 0;
  std::uint32_t window = 0;  ///< messages in flight of one publisher
  bool fan_out = false;      ///< each message goes to every subscriber
  /// JSON of five values on each publisher's own `devices/{client}/telemetry`, done with its
  /// PUBACK.
  bool telemetry = false;
};

/// Nothing when there is none of that name.
std::optional<Workload> find_workload(std::string_view name);

}  // namespace skerry::load
