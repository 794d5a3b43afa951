// PresenceTable: which devices are online, and the retained `devices/{id}/presence` that says so. A
// device is online while any of its connections is, whatever their client ids and cores.
//
//   cores ──connected, disconnected──▶ table ──after a moment, many at once──▶ publish
//
// Nothing here is on the way of a CONNACK: messages are gathered and given out in one go, so that a
// thousand devices that come together cost a few commits. After a restart the retained messages say
// who was online; those that do not come back within a grace are set offline.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/now.hpp"
#include "plugin/admin_view.hpp"
#include "plugin/event_sink.hpp"
#include "plugin/presence.hpp"

namespace skerry::net {

/// Hears of each device that comes or goes, in order, on any thread; must not block or ask back.
using PresenceChanged = std::function<void(std::string_view device, bool online, WallTime when)>;

struct PresenceOptions {
  bool publishes = true;                   ///< false: the table is kept, nothing is published
  plugin::EventSink* events = nullptr;     ///< may be null
  PresenceChanged changed;                 ///< may be null
  std::function<void()> wants_publishing;  ///< take() has something; any thread, must not block
};

/// Thread-safe; one short lock. About 150 bytes a device, up to the number of registered devices.
class PresenceTable final : public plugin::PresenceSink, public plugin::PresenceView {
 public:
  explicit PresenceTable(PresenceOptions options) : options_(std::move(options)) {}

  /// What a retained presence message said when the server went down. Before the cores run. False:
  /// the message does not read as ours; the device counts as offline.
  bool restore(std::string_view topic, std::string_view payload, WallTime now);
  /// The grace after a restart is over: whoever has not come back is offline, `server_restart`.
  void end_grace(WallTime now);

  void connected(const plugin::Identity& identity, std::string_view address, Now now) override;
  void disconnected(const plugin::Identity& identity, const char* reason, Now now) override;
  std::optional<plugin::Presence> presence_of(std::string_view device) const override;

  /// The device is registered no more: its retained message goes once its connections have.
  void forget(std::string_view device);

  /// The server ends: everybody is offline, and what happens later is not told.
  void shut_down(WallTime now);

  /// Messages to be published since the last call, in order for each topic.
  std::vector<plugin::BrokerMessage> take();

  std::size_t size() const;

 private:
  struct Entry {
    std::string address;
    const char* reason = "";
    WallTime changed{};
    std::uint32_t connections = 0;
    bool was_online = false;  ///< before the restart, and has not come back yet
    bool forgotten = false;   ///< not registered any more
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Entries = std::unordered_map<std::string, Entry, TextHash, std::equal_to<>>;

  // With the lock held; true: wants_publishing is to be called.
  bool tell(const std::string& device, const Entry& entry, std::string_view serial);
  bool clear_topic(std::string_view device);
  bool put(plugin::BrokerMessage message);

  PresenceOptions options_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::vector<plugin::BrokerMessage> pending_;
  /// Newest message by topic, once more wait than presence_pending_max.
  std::map<std::string, plugin::BrokerMessage> overflow_;
  bool asked_ = false;
  bool ended_ = false;
};

}  // namespace skerry::net
