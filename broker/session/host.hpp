// Host: what a session asks of the shard that owns it. Every call is made on the session's core, in
// the course of a call into the session; nothing here blocks.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/counters.hpp"
#include "base/limits.hpp"
#include "base/now.hpp"
#include "mqtt/packet.hpp"
#include "session/delivery.hpp"
#include "session/gate.hpp"
#include "session/link.hpp"

namespace skerry::session {

class Session;

/// What became of a PUBLISH: the reason to acknowledge with, and what the acknowledgement waits
/// for.
struct PublishOutcome {
  mqtt::Reason reason = mqtt::Reason::success;
  GateId gate;
  const char* what = "";    ///< static sentence for the reason string of an error
  bool forgets_id = false;  ///< planted by a test: the packet id of QoS 2 is not kept
};

class Host {
 public:
  virtual const Limits& limits() const noexcept = 0;
  virtual Counters& counters() noexcept = 0;
  /// Unsent bytes that one connection may have now: less than its limit when memory is short.
  virtual std::size_t output_bytes_max() const noexcept = 0;
  /// Bytes that a queue which is in memory alone may have now.
  virtual std::size_t memory_queue_bytes_max() const noexcept = 0;

  /// Routes a PUBLISH whose alias has been resolved. For QoS 2 of a persistent session the packet
  /// id is stored together with the message.
  virtual PublishOutcome publish(Session& from, const mqtt::Publish& publish, Now now) = 0;

  /// PUBREL of an inbound QoS 2 message: the stored packet id goes. 0: nothing to wait for.
  virtual GateId release_inbound(Session& from, mqtt::PacketId packet_id) = 0;

  virtual void subscribe(Session& from, const mqtt::Subscribe& packet, Now now) = 0;
  virtual void unsubscribe(Session& from, const mqtt::Unsubscribe& packet, Now now) = 0;

  /// A stored message is about to be sent first at QoS 2. For a persistent session its packet id is
  /// stored, and with it the message when an earlier batch failed to do so; for another one the
  /// message leaves the record of the shared group that it came by.
  virtual GateId store_outbound(Session& session, Delivery& delivery) = 0;
  /// PUBREC came: the message is ticked off and the packet id marked as released.
  virtual GateId store_released(Session& session, const Delivery& delivery) = 0;
  /// PUBCOMP came: the packet id is forgotten.
  virtual void forget_outbound(Session& session, mqtt::PacketId packet_id) = 0;
  /// The recipient has the message (or it was given up): it is ticked off in storage.
  virtual void finish(Session& session, Delivery& delivery) = 0;

  /// The session has more to do than one turn should take: pump() is wanted in the next one.
  virtual void pump_later(Session& session) { static_cast<void>(session); }
  /// The next messages of the session are on disk: its begin_reading() says which, once there is
  /// room for a read, and finish_reading() ends it. Asked once for each.
  virtual void read_back(Session& session) = 0;
  /// The session holds more in memory than it should: its page_out() is called soon, and again
  /// while that says so. Asked once until then.
  virtual void page_soon(Session& session) = 0;

  /// The session ends its connection by itself: DISCONNECT with `reason` when the version has it,
  /// then close. The session is detached (and removed when it does not persist) before this
  /// returns, so it must not touch itself afterwards.
  virtual void end_connection(Session& session, mqtt::Reason reason, const char* what,
                              CloseCause cause, Now now) = 0;

  /// A DISCONNECT came: with or without will, session expiry already taken over.
  virtual void client_disconnected(Session& session, bool publish_will, Now now) = 0;

 protected:
  ~Host() = default;
};

}  // namespace skerry::session
