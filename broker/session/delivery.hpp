// Delivery: one message on its way to one client, queued or in flight; and Stored, the shared
// record of a message on disk that its recipients tick off.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/strong_id.hpp"
#include "mqtt/message.hpp"
#include "mqtt/packet.hpp"

namespace skerry::session {

/// Life of one stored message, shared by the cores of its recipients. `recipients` is written by
/// the publisher's core before `state` says committed and never changes afterwards.
struct Stored {
  enum class State : std::uint8_t { pending, committed, failed };

  MessageId id;
  std::atomic<State> state{State::pending};
  std::atomic<std::uint32_t> remaining{0};  ///< recipients whose acknowledgement is not stored yet
  std::vector<DurableId> recipients;
};
using StoredPtr = std::shared_ptr<Stored>;

inline constexpr CoreIndex no_core{0xffff};

struct Delivery {
  /// queued → (committing →) sent → acknowledged at QoS 1;
  /// queued → (committing →) sent → (releasing →) released → completed at QoS 2.
  /// The states in brackets wait for storage and occur in persistent sessions only. From committing
  /// a failure leads to unsaved, from releasing to unreleased, from where it is tried again; it
  /// keeps its place and packet id. The client of an unreleased one has the message and sends no
  /// second PUBREC by itself.
  enum class State : std::uint8_t {
    queued,
    committing,
    unsaved,
    sent,
    releasing,
    unreleased,
    released
  };

  mqtt::MessagePtr message;  ///< null once nothing can need it again
  StoredPtr stored;          ///< null when the message is not on disk
  std::vector<std::uint32_t> subscription_identifiers;
  DurableId recipient;  ///< who is ticked off in storage: the session or its shared group
  CoreIndex group_core = no_core;  ///< the core that owns the shared group, when one delivered this
  mqtt::PacketId packet_id;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  bool retain = false;
  bool on_wire = false;      ///< this connection has seen it
  bool sent_before = false;  ///< some connection may have seen it: it goes out again with DUP
  State state = State::queued;
};

}  // namespace skerry::session
