#include "net/presence.hpp"

#include <array>
#include <charconv>
#include <utility>

#include "base/limits.hpp"

namespace skerry::net {

namespace {

constexpr std::string_view topic_begin = "devices/";
constexpr std::string_view topic_end = "/presence";

constexpr const char* server_restart = "server_restart";

/// Reasons that a stored message may hold, so that a table in memory need not keep texts.
constexpr std::array known_reasons{
    "connected",
    "normal",
    "disconnect_with_will",
    "connection_lost",
    "protocol_error",
    "slow_consumer",
    "keep_alive_timeout",
    "administrative_action",
    "expired",
    "storage_failure",
    "message_rate_too_high",
    "session_taken_over",
    "not_authorized",
    "revoked",
    "suspended",
    "retired",
    "erased",
    server_restart,
    "server_shutdown",
};

const char* reason_named(std::string_view name) noexcept {
  for (const char* known : known_reasons) {
    if (name == known) {
      return known;
    }
  }
  return "unknown";
}

std::string topic_of(std::string_view device) {
  return std::string(topic_begin).append(device).append(topic_end);
}

/// Everything in it is of our own making or has been checked: ids, addresses and serials hold
/// nothing that JSON would have to escape.
std::string payload_of(bool online, WallTime changed, std::string_view reason,
                       std::string_view address, std::string_view serial) {
  std::string text = online ? "{\"online\":true,\"ts\":" : "{\"online\":false,\"ts\":";
  text.append(std::to_string(epoch_milliseconds(changed)));
  text.append(",\"reason\":\"").append(reason);
  text.append("\",\"address\":\"").append(address);
  text.append("\",\"certificateSerial\":");
  if (serial.empty()) {  // said by the server itself, after a restart
    return text.append("null}");
  }
  return text.append("\"").append(serial).append("\"}");
}

/// The text of member `name` in a payload as payload_of() writes it; empty when there is none.
std::string_view member(std::string_view payload, std::string_view name) noexcept {
  std::string quoted = "\"";
  quoted.append(name).append("\":");
  const std::size_t at = payload.find(quoted);
  if (at == std::string_view::npos) {
    return {};
  }
  payload.remove_prefix(at + quoted.size());
  if (payload.starts_with('"')) {
    payload.remove_prefix(1);
    return payload.substr(0, payload.find('"'));
  }
  return payload.substr(0, payload.find_first_of(",}"));
}

}  // namespace

bool PresenceTable::restore(std::string_view topic, std::string_view payload, WallTime now) {
  if (!topic.starts_with(topic_begin) || !topic.ends_with(topic_end) ||
      topic.size() <= topic_begin.size() + topic_end.size()) {
    return false;
  }
  topic.remove_prefix(topic_begin.size());
  topic.remove_suffix(topic_end.size());
  if (topic.find('/') != std::string_view::npos) {
    return false;
  }
  const std::string_view ts = member(payload, "ts");
  std::int64_t milliseconds = 0;
  const bool reads =
      std::from_chars(ts.data(), ts.data() + ts.size(), milliseconds).ec == std::errc{};
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[std::string(topic)];
  entry.was_online = member(payload, "online") == "true";
  entry.address = member(payload, "address");
  entry.reason = entry.was_online ? server_restart : reason_named(member(payload, "reason"));
  entry.changed = entry.was_online || !reads ? now : wall_from_epoch(milliseconds);
  if (options_.changed) {
    options_.changed(topic, false, entry.changed);
  }
  return reads;
}

void PresenceTable::end_grace(WallTime) {
  bool ask = false;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [device, entry] : entries_) {
      if (entry.was_online && !ended_) {
        entry.was_online = false;
        ask = tell(device, entry, {}) || ask;
      }
    }
  }
  if (ask) {
    options_.wants_publishing();
  }
}

void PresenceTable::connected(const plugin::Identity& identity, std::string_view address, Now now) {
  bool ask = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) {
      return;
    }
    Entry& entry = entries_[identity.name];
    ++entry.connections;
    entry.was_online = false;
    entry.forgotten = false;
    entry.address = address;
    entry.reason = "connected";
    entry.changed = now.wall;
    ask = tell(identity.name, entry, identity.certificate_serial);
  }
  if (ask) {
    options_.wants_publishing();
  }
}

void PresenceTable::disconnected(const plugin::Identity& identity, const char* reason, Now now) {
  bool ask = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(identity.name);
    if (ended_ || found == entries_.end() || found->second.connections == 0) {
      return;
    }
    Entry& entry = found->second;
    if (--entry.connections > 0) {
      return;  // another of its connections lives
    }
    entry.reason = reason;
    entry.changed = now.wall;
    ask = tell(identity.name, entry, identity.certificate_serial);
    if (entry.forgotten) {
      ask = clear_topic(identity.name) || ask;
      entries_.erase(found);
    }
  }
  if (ask) {
    options_.wants_publishing();
  }
}

void PresenceTable::forget(std::string_view device) {
  bool ask = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(device);
    if (found == entries_.end()) {
      return;
    }
    if (found->second.connections > 0) {
      found->second.forgotten = true;
      return;
    }
    ask = clear_topic(device);
    entries_.erase(found);
  }
  if (ask) {
    options_.wants_publishing();
  }
}

std::optional<plugin::Presence> PresenceTable::presence_of(std::string_view device) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(device);
  if (found == entries_.end()) {
    return std::nullopt;
  }
  const Entry& entry = found->second;
  const bool online = entry.connections > 0;
  return plugin::Presence{.online = online,
                          .changed = entry.changed,
                          .last_seen = online ? read_clocks().wall : entry.changed,
                          .reason = entry.reason,
                          .address = entry.address};
}

void PresenceTable::shut_down(WallTime now) {
  bool ask = false;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [device, entry] : entries_) {
      if (!ended_ && (entry.connections > 0 || entry.was_online)) {
        entry.reason = entry.connections > 0 ? "server_shutdown" : server_restart;
        entry.changed = now;
        entry.connections = 0;
        entry.was_online = false;
        ask = tell(device, entry, {}) || ask;
      }
    }
    ended_ = true;
  }
  if (ask) {
    options_.wants_publishing();
  }
}

std::vector<plugin::BrokerMessage> PresenceTable::take() {
  const std::lock_guard lock(mutex_);
  asked_ = false;
  std::vector<plugin::BrokerMessage> taken = std::exchange(pending_, {});
  for (auto& [topic, message] : std::exchange(overflow_, {})) {
    taken.push_back(std::move(message));
  }
  return taken;
}

std::size_t PresenceTable::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

bool PresenceTable::tell(const std::string& device, const Entry& entry, std::string_view serial) {
  if (options_.changed) {
    options_.changed(device, entry.connections > 0, entry.changed);
  }
  const bool listened =
      options_.events != nullptr && options_.events->wanted(plugin::EventType::presence);
  if (!listened && !options_.publishes) {
    return false;
  }
  std::string payload =
      payload_of(entry.connections > 0, entry.changed, entry.reason, entry.address, serial);
  if (listened) {
    options_.events->publish({plugin::EventType::presence, device, payload, entry.changed});
  }
  return options_.publishes && put({.topic = topic_of(device),
                                    .payload = std::move(payload),
                                    .retain = true,
                                    .content_type = "application/json"});
}

bool PresenceTable::clear_topic(std::string_view device) {
  return options_.publishes && put({.topic = topic_of(device), .payload = {}, .retain = true});
}

bool PresenceTable::put(plugin::BrokerMessage message) {
  if (pending_.size() < presence_pending_max && overflow_.empty()) {
    pending_.push_back(std::move(message));
  } else {
    std::string topic = message.topic;
    overflow_.insert_or_assign(std::move(topic), std::move(message));
  }
  return !std::exchange(asked_, true);
}

}  // namespace skerry::net
