// Acknowledgements: what a connection still has to answer, in the order the requests came. An
// answer leaves when it has reached the front and its gate has opened; so a slow commit holds back
// what came after it and order is kept (what [MQTT-4.6.0-2, MQTT-4.6.0-3] ask
// of clients).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ring.hpp"
#include "mqtt/packet.hpp"
#include "session/gate.hpp"

namespace skerry::session {

/// Answers that may wait before the client is not read any more: the bound for clients that know no
/// Receive Maximum (3.1.1).
inline constexpr std::size_t acknowledgements_waiting_max = 4096;

struct Acknowledgement {
  mqtt::PacketType type = mqtt::PacketType::puback;
  mqtt::Reason reason = mqtt::Reason::success;
  mqtt::PacketId packet_id;
  const char* what = "";
  GateId gate;           ///< 0: may leave
  bool counted = false;  ///< ends a message that counts towards our Receive Maximum
  std::string frame;     ///< CONNACK, SUBACK, UNSUBACK: encoded already
};

/// Belongs to one session. Size is bounded by what the session accepts before it stops reading.
class Acknowledgements {
 public:
  bool empty() const noexcept { return waiting_.empty(); }
  std::size_t size() const noexcept { return waiting_.size(); }

  void push(Acknowledgement acknowledgement) { waiting_.push_back(std::move(acknowledgement)); }

  /// Opens `gate` for the first answer that waits for it and gives that one, so that a failure can
  /// change it; null: nothing waits for it any more.
  Acknowledgement* open(GateId gate) noexcept;

  /// Takes the front if it may leave.
  std::optional<Acknowledgement> take();

  void reset() noexcept { waiting_.reset(); }

 private:
  Ring<Acknowledgement> waiting_;
};

}  // namespace skerry::session
