// Packet ids of what is in flight: giving one out, finding its delivery, taking that out.

#include "base/assert.hpp"
#include "session/session.hpp"

namespace skerry::session {

// Ids are given out in order and mostly come back in order.
Delivery* Session::find_inflight(mqtt::PacketId packet_id) noexcept {
  if (inflight_.empty()) {
    return nullptr;
  }
  const auto guess =
      static_cast<std::uint16_t>(packet_id.value - inflight_.front().packet_id.value);
  if (guess < inflight_.size() && inflight_[guess].packet_id == packet_id) {
    return &inflight_[guess];
  }
  for (std::size_t i = 0; i < inflight_.size(); ++i) {
    if (inflight_[i].packet_id == packet_id) {
      return &inflight_[i];
    }
  }
  return nullptr;
}

void Session::remove_inflight(Delivery& delivery) {
  if (delivery.on_wire) {
    SKERRY_ASSERT(on_wire_ > 0);
    --on_wire_;
  }
  if (&delivery == &inflight_.front()) {
    inflight_.pop_front();
    return;
  }
  const Delivery* gone = &delivery;
  inflight_.erase_if([gone](const Delivery& other) { return &other == gone; });
}

mqtt::PacketId Session::next_packet_id() noexcept {
  // inflight_max is far below 65,535, so a free number is found. As long as they are in order, the
  // oldest is the first that the next one could meet.
  ids_in_order_ = ids_in_order_ || inflight_.empty();
  const auto is_used = [this](mqtt::PacketId id) {
    return ids_in_order_ ? !inflight_.empty() && inflight_.front().packet_id == id
                         : find_inflight(id) != nullptr;
  };
  do {
    last_packet_id_ = static_cast<std::uint16_t>(last_packet_id_ + 1);
    if (is_used(mqtt::PacketId{last_packet_id_})) {
      ids_in_order_ = false;
    }
  } while (last_packet_id_ == 0 || is_used(mqtt::PacketId{last_packet_id_}));
  return mqtt::PacketId{last_packet_id_};
}

}  // namespace skerry::session
