// Who sends what to whom in a run of messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace skerry::bench {

enum class Shape : std::uint8_t {
  fan_in,     ///< each subscriber hears its share of the publishers, by a wildcard
  fan_out,    ///< each subscriber hears everybody
  pairs,      ///< a subscriber for each publisher
  shared,     ///< all subscribers are one group: each message goes to one of them
  wildcard,   ///< filters of four kinds that overlap: a message goes to all that match
  telemetry,  ///< `devices/{client id}/telemetry`, nobody listens: done when acknowledged
};

struct Plan {
  Shape shape = Shape::fan_in;
  std::uint32_t publishers = 100;
  std::uint32_t subscribers = 1;
  std::size_t payload_bytes = 64;  ///< at least payload_bytes_min
  int qos = 0;
  std::uint32_t window = 1;  ///< messages of a publisher under way; with a rate: at most so many
  double rate = 0;           ///< messages a second of all publishers; 0: as fast as the window lets
  std::uint32_t session_expiry = 0;  ///< seconds; sessions that stay, and messages that must
};

inline constexpr std::size_t payload_bytes_min = 16;
inline constexpr std::uint32_t window_max = 4'096;

std::string topic_of(const Plan& plan, std::uint32_t publisher, const std::string& client_id);
std::string filter_of(const Plan& plan, std::uint32_t subscriber);
/// For each publisher, how many deliveries make a message whole.
std::vector<std::uint32_t> deliveries_of(const Plan& plan);

/// MQTT 5.0 section 4.7, for topics and filters of our own making.
bool matches(std::string_view filter, std::string_view topic);

}  // namespace skerry::bench
