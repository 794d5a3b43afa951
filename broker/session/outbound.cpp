// The sending half of a session: the window of QoS 1 and 2, its queue, and what is sent again.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "mqtt/codec.hpp"
#include "session/session.hpp"

namespace skerry::session {

using State = Delivery::State;

namespace {

/// Messages of one queue that are dropped in one turn because they have expired.
constexpr std::size_t expired_per_turn_max = 512;
/// What is unsent of a connection while more at QoS 1 and 2 is written to it: as much as one write
/// takes. What waits in the queue is a reference or on disk, what waits in the output is a copy.
constexpr std::size_t window_bytes_max = 256 * 1024;
/// Messages that one more makes a queue give up when memory is short: it shrinks fast, but not a
/// hundred thousand in one turn.
constexpr std::size_t drops_per_message_max = 64;

}  // namespace

// What an earlier connection left open counts, too: it is sent before anything new.
bool Session::can_send() const noexcept {
  return open_ && inflight_.size() < settings_.send_window && !inflight_unread_ &&
         unsent_bytes() < window_bytes_max && has_room_behind(unsent_bytes());
}

bool Session::may_write() const noexcept {
  return open_ && on_wire_ < settings_.send_window &&  // [MQTT-3.3.4-9]
         unsent_bytes() < window_bytes_max && has_room_behind(unsent_bytes());
}

OutboundAliases::Alias Session::choose_alias(std::string_view topic, mqtt::PublishHeader& header) {
  if (settings_.topic_alias_maximum == 0) {
    return {};
  }
  if (outbound_aliases_ == nullptr) {
    outbound_aliases_ = std::make_unique<OutboundAliases>(settings_.topic_alias_maximum);
  }
  const OutboundAliases::Alias alias = outbound_aliases_->choose(topic);
  header.topic_alias = alias.number;
  header.topic_empty = alias.known;
  return alias;
}

void Session::deliver_at_most_once(const mqtt::Publish& publish, const Match& match,
                                   FrameCache* cache) {
  if (!open_) {
    return;  // QoS 0 is for those who are here
  }
  Counters& counters = host_.counters();
  std::string& out = link_->output();
  const std::size_t unsent = link_->backlog_bytes() + out.size();
  if (!has_room_behind(unsent)) {
    counters.dropped[static_cast<int>(why_full(unsent))].add();
    return;
  }
  mqtt::PublishHeader header{.retain = match.retain,
                             .message_expiry_interval = {},
                             .subscription_identifiers = match.subscription_identifiers};
  header.message_expiry_interval = publish.properties.message_expiry_interval;
  const std::size_t before = out.size();
  const bool plain = match.subscription_identifiers.empty() && settings_.topic_alias_maximum == 0;
  OutboundAliases::Alias alias;
  if (plain && cache != nullptr) {
    cache->append(publish, header, settings_.version, out);
  } else {
    alias = choose_alias(publish.topic, header);
    mqtt::encode_publish(publish, header, settings_.version, out);
  }
  if (!fits(out.size() - before)) {  // [MQTT-3.1.2-24] [MQTT-3.1.2-25]
    out.resize(before);
    counters.dropped[static_cast<int>(DropReason::too_large)].add();
    return;
  }
  if (alias.number != 0 && !alias.known) {
    outbound_aliases_->confirm(publish.topic);
  }
  counters.messages_sent[0].add();
  link_->output_changed();
}

void Session::deliver(Delivery delivery, const mqtt::Publish& publish, Now now) {
  if (can_send() && queue_.empty()) {
    send_new(std::move(delivery), &publish, now);
  } else if (persistent() || connected()) {
    enqueue(std::move(delivery));
    if (can_send()) {
      pump(now);
    }
  } else {  // it has ended with its connection and is about to go
    host_.finish(*this, delivery);
  }
}

void Session::enqueue(Delivery delivery) {
  const Limits& limits = host_.limits();
  queue_.push_back(std::move(delivery));
  while (queue_.size() > limits.session_queue_messages_max ||
         queue_.size_bytes() > limits.session_queue_bytes_max) {
    drop_front(DropReason::queue_full);
  }
  // Many queues may share a message, but its entry is each one's own.
  const auto held = [this] { return queue_.resident_bytes() + queue_.size() * sizeof(Delivery); };
  for (std::size_t drops = 0; durable_id_ == DurableId{} && drops < drops_per_message_max &&
                              held() > host_.memory_queue_bytes_max();
       ++drops) {
    drop_front(DropReason::memory);
  }
  if (!paging_ && durable_id_ != DurableId{}) {
    paging_ = true;
    host_.page_soon(*this);
  }
}

void Session::drop_front(DropReason reason) {
  Delivery front = queue_.take_oldest(durable_id_);
  host_.counters().dropped[static_cast<int>(reason)].add();
  host_.finish(*this, front);
}

std::size_t Session::drop_expired(std::size_t count_max, Now now) {
  std::size_t dropped = 0;
  while (dropped < count_max && queue_.oldest_expired(now.wall)) {
    drop_front(DropReason::expired);
    ++dropped;
  }
  return dropped;
}

void Session::pump(Now now) {
  if (!open_) {
    return;
  }
  resend(now);
  std::size_t expired = 0;
  while (can_send()) {
    if (queue_.oldest_expired(now.wall)) {  // [MQTT-3.3.2-5]
      if (expired++ == expired_per_turn_max) {
        return host_.pump_later(*this);
      }
      drop_front(DropReason::expired);
    } else if (queue_.front() != nullptr) {
      send_new(queue_.pop_front(), nullptr, now);
    } else {
      break;
    }
  }
  read_ahead();
}

// What an earlier connection had open goes first, in its order and with its packet ids
// [MQTT-4.4.0-1] (the order is what [MQTT-4.6.0-1] asks of clients).
void Session::resend(Now now) {
  if (!resend_due_ || !open_) {
    return;
  }
  bool held_back = false;
  bool unsaved = false;
  bool unread = false;
  for (std::size_t i = 0; i < inflight_.size();) {
    Delivery& delivery = inflight_[i];
    // A PUBREL waits for no window [MQTT-3.3.4-10].
    // QoS 2 waits for what came before it and must be stored first [MQTT-4.6.0-5].
    unsaved = unsaved || delivery.state == State::unsaved || delivery.state == State::committing;
    const bool in_turn =
        !unsaved || delivery.state != State::sent || delivery.qos != mqtt::Qos::exactly_once;
    unread = unread || is_unread(delivery);  // and what came behind it waits with it
    const bool releases = delivery.state == State::released || delivery.state == State::unreleased;
    const bool may = releases || (may_write() && in_turn && !unread);
    held_back = held_back || (!delivery.on_wire && !may);
    if (delivery.on_wire || !may || resend_one(delivery, now)) {
      ++i;
    }
  }
  resend_due_ = held_back;
  inflight_unread_ = unread;
}

// False: the delivery is gone, since this client cannot have it.
bool Session::resend_one(Delivery& delivery, Now now) {
  switch (delivery.state) {
    case State::queued:
    case State::committing:
    case State::releasing:
      return true;  // comes here again when its commit is done
    case State::unsaved:
      store_packet_id(delivery, now);
      return true;
    case State::sent:
      return write_publish(delivery, nullptr, now);
    case State::unreleased:
      release(delivery);  // never at once: it is one that is stored
      return true;
    case State::released:
      delivery.on_wire = true;
      ++on_wire_;
      write_release(delivery.packet_id);
      return true;
  }
  return true;
}

void Session::send_new(Delivery delivery, const mqtt::Publish* publish, Now now) {
  delivery.packet_id = next_packet_id();  // [MQTT-4.3.3-1]
  const bool store_first = delivery.qos == mqtt::Qos::exactly_once && delivery.stored;
  delivery.state = State::sent;
  Delivery& kept = inflight_.push_back(std::move(delivery));
  if (store_first) {
    store_packet_id(kept, now);
  } else {
    write_publish(kept, publish, now);
  }
}

void Session::store_packet_id(Delivery& delivery, Now now) {
  delivery.state = State::committing;
  if (host_.store_outbound(*this, delivery) == GateId{}) {
    outbound_stored(delivery.packet_id, GateResult::passed, now);
  }
}

void Session::outbound_stored(mqtt::PacketId packet_id, GateResult result, Now now) {
  Delivery* delivery = find_inflight(packet_id);
  if (delivery == nullptr || delivery->state != State::committing) {
    return;
  }
  if (result == GateResult::failed) {
    delivery->state = State::unsaved;
    resend_due_ = true;
    if (link_ != nullptr) {  // the client comes again when storage is well
      host_.end_connection(*this, mqtt::Reason::quota_exceeded,
                           "the server could not store the state of a QoS 2 delivery",
                           CloseCause::storage_failure, now);
    }
    return;
  }
  if (delivery->stored &&
      delivery->stored->state.load(std::memory_order_acquire) == Stored::State::failed) {
    return store_packet_id(*delivery, now);  // the message was in an earlier batch
  }
  delivery->state = State::sent;
  if (resend_due_ || !may_write() || !delivery->message) {
    resend_due_ = true;  // behind what was open before
    pump(now);
  } else if (!write_publish(*delivery, nullptr, now)) {
    pump(now);  // into the place that it leaves
  }
}

void Session::give_up(Delivery& delivery, DropReason reason) {
  host_.counters().dropped[static_cast<int>(reason)].add();
  if (delivery.qos == mqtt::Qos::exactly_once) {
    host_.forget_outbound(*this, delivery.packet_id);
  }
  host_.finish(*this, delivery);
  remove_inflight(delivery);
}

// False: too large for the client or expired before it was sent to anybody, so it is given up and
// gone from the window.
bool Session::write_publish(Delivery& delivery, const mqtt::Publish* publish, Now now) {
  if (delivery.message && !delivery.sent_before && delivery.message->expired(now.wall)) {
    give_up(delivery, DropReason::expired);  // [MQTT-3.3.2-5]
    return false;
  }
  std::string& out = link_->output();
  const std::size_t before = out.size();
  mqtt::PublishHeader header{.packet_id = delivery.packet_id,
                             .qos = delivery.qos,
                             .retain = delivery.retain,
                             .dup = delivery.sent_before,  // [MQTT-3.3.1-1] [MQTT-3.3.1-3]
                             .message_expiry_interval = {},
                             .subscription_identifiers = delivery.subscription_identifiers};
  const std::string_view topic = publish != nullptr ? publish->topic : delivery.message->topic();
  const OutboundAliases::Alias alias = choose_alias(topic, header);
  if (publish != nullptr) {
    header.message_expiry_interval = publish->properties.message_expiry_interval;
    mqtt::encode_publish(*publish, header, settings_.version, out);
  } else {
    mqtt::encode_message(*delivery.message, header, settings_.version, now.wall, out);
  }
  if (!fits(out.size() - before)) {  // [MQTT-3.1.2-24] [MQTT-3.1.2-25]
    out.resize(before);
    give_up(delivery, DropReason::too_large);
    return false;
  }
  if (alias.number != 0 && !alias.known) {
    outbound_aliases_->confirm(topic);
  }
  delivery.on_wire = delivery.sent_before = true;
  inflight_resident_ = true;
  ++on_wire_;
  host_.counters().messages_sent[static_cast<int>(delivery.qos)].add();
  link_->output_changed();
  if (!outlives() && delivery.group_core == no_core) {
    delivery.message = {};  // nothing can ask for it again: the session ends with the connection
  }
  return true;
}

void Session::write_release(mqtt::PacketId packet_id) {
  mqtt::encode_ack(mqtt::PacketType::pubrel, packet_id, mqtt::Reason::success, settings_.version,
                   link_->output());
  link_->output_changed();
}

void Session::on_puback(const mqtt::Puback& packet, Now now) {
  Delivery* delivery = find_inflight(packet.packet_id);
  if (delivery == nullptr || delivery->qos != mqtt::Qos::at_least_once || !delivery->on_wire) {
    return;  // late or for a message that was given up: nothing to do
  }
  host_.finish(*this, *delivery);
  remove_inflight(*delivery);
  pump(now);
}

void Session::on_pubrec(const mqtt::Pubrec& packet, Now now) {
  Delivery* delivery = find_inflight(packet.packet_id);
  if (delivery == nullptr || delivery->qos != mqtt::Qos::exactly_once || !delivery->on_wire) {
    if (!mqtt::is_error(packet.reason)) {
      mqtt::encode_ack(mqtt::PacketType::pubrel, packet.packet_id,
                       mqtt::Reason::packet_identifier_not_found, settings_.version,
                       link_->output());
      link_->output_changed();
    }
    return;
  }
  if (mqtt::is_error(packet.reason)) {  // [MQTT-4.4.0-2]: refused, and that ends it
    if (delivery->state != State::sent) {
      return;  // it has been taken already
    }
    host_.finish(*this, *delivery);
    host_.forget_outbound(*this, packet.packet_id);
    remove_inflight(*delivery);
    pump(now);
    return;
  }
  if (delivery->state == State::released) {
    write_release(packet.packet_id);
    return;
  }
  if (delivery->state != State::sent) {
    return;
  }
  if (release(*delivery)) {
    released_stored(packet.packet_id, GateResult::passed, now);
  }
}

// The client has the message: it is ticked off. True when that waits for no storage.
bool Session::release(Delivery& delivery) {
  delivery.state = State::releasing;
  return host_.store_released(*this, delivery) == GateId{};
}

void Session::released_stored(mqtt::PacketId packet_id, GateResult result, Now now) {
  Delivery* delivery = find_inflight(packet_id);
  if (delivery == nullptr || delivery->state != State::releasing) {
    return;
  }
  if (result == GateResult::failed) {
    // Not back to sent: what the failed batch held may be on disk all the same, and then there is
    // no message any more that could be sent again.
    delivery->state = State::unreleased;
    delivery->message = {};
    resend_due_ = true;
    if (link_ != nullptr) {
      host_.end_connection(*this, mqtt::Reason::quota_exceeded,
                           "the server could not store the state of a QoS 2 delivery",
                           CloseCause::storage_failure, now);
    }
    return;
  }
  delivery->state = State::released;
  delivery->stored.reset();
  delivery->message = {};
  if (open_ && delivery->on_wire) {
    write_release(packet_id);
  } else {
    resend_due_ = true;
    pump(now);
  }
}

void Session::on_pubcomp(const mqtt::Pubcomp& packet, Now now) {
  Delivery* delivery = find_inflight(packet.packet_id);
  if (delivery == nullptr || delivery->state != State::released) {
    return;
  }
  host_.forget_outbound(*this, packet.packet_id);
  remove_inflight(*delivery);
  pump(now);
}

std::vector<Delivery> Session::take_undelivered(
    const std::function<bool(const Delivery&)>& unwanted) {
  std::vector<Delivery> taken;
  inflight_.erase_if([&](Delivery& delivery) {
    if (delivery.qos != mqtt::Qos::at_least_once || !delivery.message || !unwanted(delivery)) {
      return false;
    }
    on_wire_ -= delivery.on_wire ? 1 : 0;
    taken.push_back(std::move(delivery));
    return true;
  });
  queue_.erase_if([&](Delivery& delivery) {
    if (!unwanted(delivery)) {
      return false;
    }
    taken.push_back(std::move(delivery));
    return true;
  });
  return taken;
}

// Records come in the order of packet ids, which go round; messages were sent in the order of their
// own numbers, and released ones go first. What is still queued at QoS 2 but older than what is in
// flight lost its packet id to a failed commit and takes its place again.
void Session::restore_order() {
  const auto number = [](const Delivery& delivery) {
    return delivery.stored ? delivery.stored->id : MessageId{};
  };
  MessageId newest;
  for (std::size_t i = 0; i < inflight_.size(); ++i) {
    newest = std::max(newest, number(inflight_[i]));
  }
  for (Paged& paged : queue_.take_restored_twice(newest)) {
    inflight_.push_back(
        {.stored = paged.stored ? std::move(paged.stored) : make_stored(paged.id, durable_id_),
         .recipient = durable_id_,
         .packet_id = next_packet_id(),
         .qos = mqtt::Qos::exactly_once,
         .state = State::unsaved});
  }
  std::vector<Delivery> open;
  for (; !inflight_.empty(); inflight_.pop_front()) {
    open.push_back(std::move(inflight_.front()));
  }
  std::stable_sort(open.begin(), open.end(), [&](const Delivery& left, const Delivery& right) {
    return number(left) < number(right);
  });
  for (Delivery& delivery : open) {
    inflight_.push_back(std::move(delivery));
  }
  ids_in_order_ = false;
  // What a full queue had dropped is back when the server went down before that was stored. What
  // was in flight at QoS 1 stands in the queue, too, and is no reason to drop anything.
  const Limits& limits = host_.limits();
  while (queue_.size() > limits.session_queue_messages_max + limits.inflight_max) {
    drop_front(DropReason::queue_full);
  }
}

void Session::restore_inflight(Delivery delivery) {
  last_packet_id_ = std::max(last_packet_id_, delivery.packet_id.value);
  ids_in_order_ = false;
  delivery.sent_before = true;
  inflight_.push_back(std::move(delivery));
}

}  // namespace skerry::session
