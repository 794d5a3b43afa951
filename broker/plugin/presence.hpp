// Presence: which devices are connected. The shards tell a PresenceSink who comes and goes; whoever
// shows devices asks a PresenceView.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/now.hpp"
#include "plugin/identity.hpp"

namespace skerry::plugin {

/// What is known of one device's connections.
struct Presence {
  bool online = false;
  WallTime changed{};    ///< when it came online, or went
  WallTime last_seen{};  ///< now while it is online
  std::string reason;    ///< of the last change: "connected", "normal", "keep_alive_timeout", …
  std::string address;   ///< of the connection that came last: "192.0.2.7:4711"
};

/// Hears of sessions of devices that have shown a certificate. Any core; must not block.
class PresenceSink {
 public:
  virtual ~PresenceSink() = default;

  /// A connection has been accepted. One that takes over another is told of before the end of that.
  virtual void connected(const Identity& identity, std::string_view address, Now now) = 0;
  /// A connection that was told of has ended. `reason` lives for ever.
  virtual void disconnected(const Identity& identity, const char* reason, Now now) = 0;
};

class PresenceView {
 public:
  /// nullopt: the device has never connected, as far as is remembered. Any thread, O(1).
  virtual std::optional<Presence> presence_of(std::string_view device) const = 0;

 protected:
  ~PresenceView() = default;
};

}  // namespace skerry::plugin
