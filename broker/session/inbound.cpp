// The receiving half of a session: packets of the client and what they ask for.

#include <algorithm>

#include "mqtt/codec.hpp"
#include "session/session.hpp"

namespace skerry::session {
namespace {

constexpr std::uint8_t publish_type = 3;
constexpr std::uint8_t puback_type = 4;
constexpr std::uint8_t pubcomp_type = 7;

}  // namespace

bool Session::on_frame(const mqtt::Frame& frame, Now now) {
  last_received_ = now.steady;
  if (rate_ != nullptr && !count_rate(frame, now)) {
    return false;
  }
  const bool goes_on = handle_frame(frame, now);
  if (goes_on && unsent_bytes() >= 2 * host_.output_bytes_max()) {
    // The peer asks and does not listen: what it still sends stays in its own buffers until it has
    // taken our answers. Twice the cap: messages alone may come to once.
    set_pause(pause_by_answers, true, now);
  }
  return goes_on;
}

// Answers to what we have sent are free: their number is up to us. False: the connection has ended.
bool Session::count_rate(const mqtt::Frame& frame, Now now) {
  const int type = frame.first_byte >> 4;
  if ((type >= puback_type && type <= pubcomp_type) ||
      rate_->count(frame.whole.size(), now.steady)) {
    return true;
  }
  if (rate_->policy() == RatePolicy::disconnect) {
    host_.counters().rates_disconnected.add();
    host_.end_connection(*this, mqtt::Reason::message_rate_too_high,
                         "more was sent in a second than this client may", CloseCause::too_fast,
                         now);
    return false;
  }
  if (!held_by_rate()) {
    host_.counters().rates_held.add();
    set_pause(pause_by_rate, true, now);
  }
  return true;
}

bool Session::handle_frame(const mqtt::Frame& frame, Now now) {
  if ((frame.first_byte >> 4) == publish_type) {
    return on_publish(frame, now);
  }
  if (const auto packet_id = mqtt::decode_short_ack(frame); packet_id != mqtt::PacketId{}) {
    on_short_ack(static_cast<mqtt::PacketType>(frame.first_byte >> 4), packet_id, now);
    return link_ != nullptr;
  }
  const auto packet = mqtt::decode(frame, settings_.version, mqtt::Sender::client);
  if (!packet) {
    fail(packet.error(), now);
    return false;
  }
  dispatch(*packet, now);
  return link_ != nullptr;
}

void Session::on_short_ack(mqtt::PacketType type, mqtt::PacketId packet_id, Now now) {
  switch (type) {
    case mqtt::PacketType::puback:
      return on_puback({.packet_id = packet_id}, now);
    case mqtt::PacketType::pubrec:
      return on_pubrec({.packet_id = packet_id}, now);
    case mqtt::PacketType::pubrel:
      return on_pubrel({.packet_id = packet_id}, now);
    default:
      return on_pubcomp({.packet_id = packet_id}, now);
  }
}

void Session::dispatch(const mqtt::Packet& packet, Now now) {
  if (const auto* puback = std::get_if<mqtt::Puback>(&packet)) {
    return on_puback(*puback, now);
  }
  if (const auto* pubrec = std::get_if<mqtt::Pubrec>(&packet)) {
    return on_pubrec(*pubrec, now);
  }
  if (const auto* pubrel = std::get_if<mqtt::Pubrel>(&packet)) {
    return on_pubrel(*pubrel, now);
  }
  if (const auto* pubcomp = std::get_if<mqtt::Pubcomp>(&packet)) {
    return on_pubcomp(*pubcomp, now);
  }
  if (const auto* subscribe = std::get_if<mqtt::Subscribe>(&packet)) {
    return host_.subscribe(*this, *subscribe, now);
  }
  if (const auto* unsubscribe = std::get_if<mqtt::Unsubscribe>(&packet)) {
    return host_.unsubscribe(*this, *unsubscribe, now);
  }
  if (std::holds_alternative<mqtt::Pingreq>(packet)) {  // [MQTT-3.12.4-1]
    std::string frame;
    mqtt::encode(mqtt::Pingresp{}, settings_.version, frame);
    if (!open_) {
      return answer(mqtt::PacketType::pingresp, std::move(frame), GateId{}, now);
    }
    link_->output().append(frame);  // it says that we live, so it waits for no commit
    return link_->output_changed();
  }
  if (const auto* disconnect = std::get_if<mqtt::Disconnect>(&packet)) {
    return on_disconnect(*disconnect, now);
  }
  if (std::holds_alternative<mqtt::Connect>(packet)) {  // [MQTT-3.1.0-2]
    return fail({mqtt::Reason::protocol_error, "a second CONNECT on one connection"}, now);
  }
  if (std::holds_alternative<mqtt::Auth>(packet)) {
    return fail({mqtt::Reason::protocol_error,
                 "AUTH on a connection that was made without an authentication method"},
                now);
  }
  fail({mqtt::Reason::protocol_error, "a client must not send this packet"}, now);
}

bool Session::on_publish(const mqtt::Frame& frame, Now now) {
  const std::string_view known_topic =
      publish_path != nullptr ? std::string_view(publish_path->topic) : std::string_view();
  auto publish = mqtt::decode_publish(frame, settings_.version, mqtt::Sender::client, known_topic);
  if (!publish) {
    fail(publish.error(), now);
    return false;
  }
  host_.counters().messages_received[static_cast<int>(publish->qos)].add();
  if (publish->topic_alias) {
    if (inbound_aliases_ == nullptr) {
      inbound_aliases_ = std::make_unique<InboundAliases>(host_.limits().topic_alias_max);
    }
    const auto topic = inbound_aliases_->resolve(*publish->topic_alias, publish->topic);
    if (!topic) {
      fail(topic.error(), now);
      return false;
    }
    publish->topic = *topic;
    publish->topic_alias.reset();
  }
  if (publish->qos == mqtt::Qos::at_most_once) {
    host_.publish(*this, *publish, now);
    return link_ != nullptr;
  }
  handle_publish(*publish, now);
  return link_ != nullptr;
}

bool Session::accept_inbound_id(const mqtt::Publish& publish, Now now) {
  if (publish.qos == mqtt::Qos::exactly_once &&
      std::find(inbound_ids_.begin(), inbound_ids_.end(), publish.packet_id) !=
          inbound_ids_.end()) {
    // Received before: it is answered again and not routed again [MQTT-4.3.3-10]. While its commit
    // is under way, on behalf of an earlier connection perhaps, this answer waits for it, too.
    acknowledge({.type = mqtt::PacketType::pubrec,
                 .packet_id = publish.packet_id,
                 .gate = pending_inbound(publish.packet_id)},
                now);
    return false;
  }
  const std::uint16_t maximum = host_.limits().receive_maximum;
  if (settings_.version == mqtt::Version::v5 && inbound_open_ >= maximum) {  // [MQTT-3.3.4-7]
    fail({mqtt::Reason::receive_maximum_exceeded,
          "more QoS 1 and 2 messages are open than the server's Receive Maximum"},
         now);
    return false;
  }
  return true;
}

void Session::handle_publish(mqtt::Publish& publish, Now now) {
  if (!accept_inbound_id(publish, now)) {
    return;
  }
  const bool twice = publish.qos == mqtt::Qos::exactly_once;
  const PublishOutcome outcome = host_.publish(*this, publish, now);
  if (link_ == nullptr) {
    return;
  }
  const bool refused = mqtt::is_error(outcome.reason);
  ++inbound_open_;
  const bool keeps_id = twice && !refused && !outcome.forgets_id;
  if (keeps_id) {  // a refused packet id is free again [MQTT-4.3.3-9]
    inbound_ids_.push_back(publish.packet_id);
    if (outcome.gate != GateId{}) {
      inbound_pending_.push_back({publish.packet_id, outcome.gate});
    }
  }
  if (outcome.reason == mqtt::Reason::quota_exceeded && settings_.version != mqtt::Version::v5) {
    // 3.1.1 has no negative answer: silence and a close make the client send it again later.
    host_.end_connection(*this, outcome.reason, outcome.what, CloseCause::storage_failure, now);
    return;
  }
  acknowledge({.type = twice ? mqtt::PacketType::pubrec : mqtt::PacketType::puback,
               .reason = outcome.reason,
               .packet_id = publish.packet_id,
               .what = outcome.what,
               .gate = outcome.gate,
               .counted = !keeps_id},
              now);
  if (acknowledgements_.size() >= acknowledgements_waiting_max) {
    set_pause(pause_by_answers, true, now);
  }
}

void Session::on_pubrel(const mqtt::Pubrel& packet, Now now) {
  const bool known =
      std::find(inbound_ids_.begin(), inbound_ids_.end(), packet.packet_id) != inbound_ids_.end();
  if (!known) {
    // Nothing is wrong on the client's side after a lost PUBCOMP: it is told so and goes on.
    acknowledge({.type = mqtt::PacketType::pubcomp,
                 .reason = mqtt::Reason::packet_identifier_not_found,
                 .packet_id = packet.packet_id},
                now);
    return;
  }
  acknowledge({.type = mqtt::PacketType::pubcomp,
               .packet_id = packet.packet_id,
               .gate = host_.release_inbound(*this, packet.packet_id)},
              now);
}

void Session::on_disconnect(const mqtt::Disconnect& packet, Now now) {
  if (packet.session_expiry_interval) {
    if (expiry_seconds_ == 0 && *packet.session_expiry_interval != 0) {  // section 3.14.2.2.2
      return fail({mqtt::Reason::protocol_error,
                   "a session that began without expiry cannot be given one in DISCONNECT"},
                  now);
    }
    expiry_seconds_ =
        std::min(*packet.session_expiry_interval, host_.limits().session_expiry_max_seconds);
  }
  const bool with_will = packet.reason != mqtt::Reason::success;
  host_.client_disconnected(*this, with_will, now);
}

}  // namespace skerry::session
