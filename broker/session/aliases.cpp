#include "session/aliases.hpp"

namespace skerry::session {

Result<std::string_view, mqtt::Violation> InboundAliases::resolve(std::uint16_t alias,
                                                                  std::string_view topic) {
  if (alias == 0 || alias > maximum_) {  // [MQTT-3.3.2-8] [MQTT-3.3.2-9]
    return mqtt::Violation{mqtt::Reason::topic_alias_invalid,
                           "topic alias is 0 or above the server's Topic Alias Maximum"};
  }
  if (topics_.size() < alias) {
    topics_.resize(alias);
  }
  std::string& name = topics_[alias - 1u];
  if (!topic.empty()) {
    if (bytes_ - name.size() + topic.size() > alias_bytes_per_connection_max) {
      return mqtt::Violation{mqtt::Reason::quota_exceeded,
                             "the topics behind this connection's aliases are too long together"};
    }
    bytes_ += topic.size() - name.size();
    name.assign(topic);
  } else if (name.empty()) {
    return mqtt::Violation{mqtt::Reason::protocol_error,
                           "topic is empty and the alias has not been set on this connection"};
  }
  return std::string_view(name);
}

OutboundAliases::Alias OutboundAliases::choose(std::string_view topic) const {
  const auto found = numbers_.find(topic);
  if (found != numbers_.end()) {
    return {found->second, true};
  }
  if (numbers_.size() >= maximum_ || bytes_ + topic.size() > alias_bytes_per_connection_max) {
    return {};
  }
  return {next_number(), false};  // [MQTT-3.3.2-11]
}

}  // namespace skerry::session
