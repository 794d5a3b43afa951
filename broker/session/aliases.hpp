// Topic aliases of one connection, both ways; they end with the connection [MQTT-3.3.2-7].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "mqtt/reason.hpp"

namespace skerry::session {

/// Aliases that the client sets: at most the Topic Alias Maximum we announced.
class InboundAliases {
 public:
  explicit InboundAliases(std::uint16_t maximum) : maximum_(maximum) {}

  /// Resolves or sets. `topic` empty: the name set before; protocol_error when there is none
  /// [MQTT-3.3.2-12]. topic_alias_invalid for 0 or above the maximum [MQTT-3.3.2-8, MQTT-3.3.2-9].
  /// The view lives until the alias is set again.
  Result<std::string_view, mqtt::Violation> resolve(std::uint16_t alias, std::string_view topic);

 private:
  std::uint16_t maximum_;
  std::vector<std::string> topics_;
};

/// Aliases that we set: the first topics of a connection get one each until the client's maximum is
/// used up; they are never reassigned, since the busiest topics are usually the first.
class OutboundAliases {
 public:
  explicit OutboundAliases(std::uint16_t maximum) : maximum_(maximum) {}

  struct Alias {
    std::uint16_t number = 0;  ///< 0: send the topic without alias
    bool known = false;        ///< the client has it already: the topic may stay empty
  };
  Alias take(std::string_view topic);

 private:
  std::uint16_t maximum_;
  std::unordered_map<std::string, std::uint16_t> numbers_;
};

}  // namespace skerry::session
