// Topic aliases of one connection, both ways; they end with the connection [MQTT-3.3.2-7].
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "mqtt/reason.hpp"

namespace skerry::session {

/// Aliases that the client sets: at most the Topic Alias Maximum we announced.
class InboundAliases {
 public:
  explicit InboundAliases(std::uint16_t maximum) : maximum_(maximum) {}

  /// Resolves or sets. `topic` empty: the name set before; protocol_error when there is none
  /// (section 3.3.2.3.4). topic_alias_invalid for 0 or above the maximum [MQTT-3.3.2-8,
  /// MQTT-3.3.2-9]; all others are accepted [MQTT-3.3.2-12], but quota_exceeded when the topics
  /// have more than alias_bytes_per_connection_max together. The view lives until the alias is set
  /// again.
  Result<std::string_view, mqtt::Violation> resolve(std::uint16_t alias, std::string_view topic);

 private:
  std::uint16_t maximum_;
  std::size_t bytes_ = 0;  // of the topics
  std::vector<std::string> topics_;
};

/// Aliases that we set: the first topics of a connection get one each until the client's maximum is
/// used up; they are never reassigned, since the busiest topics are usually the first.
class OutboundAliases {
 public:
  explicit OutboundAliases(std::uint16_t maximum)
      : maximum_(std::min(maximum, outbound_aliases_max)) {}

  struct Alias {
    std::uint16_t number = 0;  ///< 0: send the topic without alias
    bool known = false;        ///< the client has it already: the topic may stay empty
  };
  /// What to use for `topic`. A number that the client does not know yet is fixed by confirm(),
  /// once the packet that teaches it is on its way.
  Alias choose(std::string_view topic) const;
  void confirm(std::string_view topic) {
    numbers_.emplace(topic, next_number());
    bytes_ += topic.size();
  }

 private:
  std::uint16_t next_number() const noexcept {
    return static_cast<std::uint16_t>(numbers_.size() + 1);
  }

  std::uint16_t maximum_;
  std::size_t bytes_ = 0;  // of the topics
  std::map<std::string, std::uint16_t, std::less<>> numbers_;
};

}  // namespace skerry::session
