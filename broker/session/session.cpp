#include "session/session.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "mqtt/codec.hpp"

namespace skerry::session {

Session::Session(Host& host, std::uint64_t id, IdentityPtr identity, std::string_view client_id)
    : host_(host),
      id_(id),
      key_(identity->owner()),
      client_id_size_(static_cast<std::uint32_t>(client_id.size())),
      identity_(std::move(identity)),
      queue_(host.counters().queues) {
  key_.push_back('\0');
  key_.append(client_id);
  key_.shrink_to_fit();
}

void Session::set_not_after(WallTime when) {
  auto changed = std::make_shared<plugin::Identity>(*identity_);
  changed->not_after = when;
  identity_ = std::move(changed);
}

void Session::set_will(std::unique_ptr<StoredWill> will) noexcept {
  take_will();
  will_ = std::move(will);
  if (will_ != nullptr) {
    host_.counters().will_bytes.add(will_->block->size_bytes());
  }
}

std::unique_ptr<StoredWill> Session::take_will() noexcept {
  if (will_ != nullptr) {
    host_.counters().will_bytes.subtract(will_->block->size_bytes());
  }
  return std::move(will_);
}

Subscription* Session::find_subscription(std::string_view filter) noexcept {
  const auto found = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                                  [&](const Subscription& s) { return s.filter == filter; });
  return found == subscriptions_.end() ? nullptr : &*found;
}

void Session::attach(Link& link, const AttachSettings& settings, std::string connack, GateId gate,
                     Now now) {
  SKERRY_ASSERT(link_ == nullptr);
  link_ = &link;
  settings_ = settings;
  open_ = false;
  pauses_ = 0;
  rate_ = RateMeter::is_needed(settings.rates)
              ? std::make_unique<RateMeter>(settings.rates, now.steady)
              : nullptr;
  resend_due_ = true;
  last_received_ = now.steady;
  acknowledge({.type = mqtt::PacketType::connack, .gate = gate, .frame = std::move(connack)}, now);
}

void Session::detach() {
  link_ = nullptr;
  open_ = false;
  pauses_ = 0;
  rate_.reset();
  acknowledgements_.reset();
  inbound_aliases_.reset();
  outbound_aliases_.reset();
  publish_path.reset();
  inbound_open_ = 0;  // section 4.9: the quota begins anew with each connection
  on_wire_ = 0;
  for (std::size_t i = 0; i < inflight_.size(); ++i) {
    inflight_[i].on_wire = false;
  }
  reading_ = false;  // an answer that is under way finds another serial
  if (!paging_ && outlives() && (!inflight_.empty() || queue_.resident_bytes() > 0)) {
    paging_ = inflight_resident_ = true;
    host_.page_soon(*this);
  }
}

SteadyTime Session::keep_alive_deadline() const noexcept {
  if (link_ == nullptr || settings_.keep_alive_seconds == 0) {
    return SteadyTime::max();
  }
  // One and a half times the interval [MQTT-3.1.2-22].
  return last_received_ + Milliseconds(settings_.keep_alive_seconds * 1500);
}

bool Session::pause_reading(bool paused, Now now) {
  if (((pauses_ & pause_by_host) != 0) == paused) {
    return false;
  }
  set_pause(pause_by_host, paused, now);
  return true;
}

void Session::set_pause(Pause why, bool on, Now now) {
  if (link_ == nullptr) {
    return;
  }
  const bool was = pauses_ != 0;
  pauses_ = static_cast<std::uint8_t>(on ? pauses_ | why : pauses_ & ~why);
  if (was != (pauses_ != 0)) {
    last_received_ = now.steady;  // the peer is not late while it was we who did not listen
    link_->pause_reading(pauses_ != 0);
  }
}

void Session::resume_rate(Now now) {
  if (rate_resumes_at() <= now.steady) {
    set_pause(pause_by_rate, false, now);
  }
}

void Session::answer(mqtt::PacketType type, std::string frame, GateId gate, Now now) {
  acknowledge({.type = type, .gate = gate, .frame = std::move(frame)}, now);
}

void Session::acknowledge(Acknowledgement acknowledgement, Now now) {
  if (acknowledgements_.empty() && acknowledgement.gate == GateId{}) {
    write_acknowledgement(acknowledgement, now);
    return;
  }
  acknowledgements_.push(std::move(acknowledgement));
}

GateId Session::pending_inbound(mqtt::PacketId packet_id) const noexcept {
  for (const PendingInbound& pending : inbound_pending_) {
    if (pending.packet_id == packet_id) {
      return pending.gate;
    }
  }
  return {};
}

// True when the gate was that of a QoS 2 message. One that could not be stored is not received: the
// same packet id will be a new message [MQTT-4.3.3-9], also when nobody is there to be told.
bool Session::settle_inbound(GateId gate, GateResult result) {
  const auto pending =
      std::find_if(inbound_pending_.begin(), inbound_pending_.end(),
                   [gate](const PendingInbound& each) { return each.gate == gate; });
  if (pending == inbound_pending_.end()) {
    return false;
  }
  if (result == GateResult::failed && std::erase(inbound_ids_, pending->packet_id) > 0 &&
      inbound_open_ > 0) {
    --inbound_open_;
  }
  inbound_pending_.erase(pending);
  return true;
}

// False: the version or the packet has no way to say so.
bool Session::refuse(Acknowledgement& waiting) const noexcept {
  const bool has_reason =
      waiting.type == mqtt::PacketType::puback || waiting.type == mqtt::PacketType::pubrec;
  if (!has_reason || settings_.version != mqtt::Version::v5) {
    return false;
  }
  waiting.reason = mqtt::Reason::quota_exceeded;
  waiting.what = "the server could not store this message; try again later";
  return true;
}

void Session::open_acknowledgement(GateId gate, GateResult result, Now now) {
  const bool twice = settle_inbound(gate, result);
  Acknowledgement* waiting = acknowledgements_.open(gate);
  if (waiting == nullptr || link_ == nullptr) {
    return;  // the connection that asked is gone
  }
  // A QoS 2 message that was sent again meanwhile has more than one answer waiting.
  for (; waiting != nullptr; waiting = twice ? acknowledgements_.open(gate) : nullptr) {
    if (result == GateResult::failed && !refuse(*waiting)) {
      host_.end_connection(*this, mqtt::Reason::quota_exceeded,
                           "the server could not store this; try again later",
                           CloseCause::storage_failure, now);
      return;
    }
  }
  drain_acknowledgements(now);
}

void Session::drain_acknowledgements(Now now) {
  while (link_ != nullptr) {
    const std::optional<Acknowledgement> next = acknowledgements_.take();
    if (!next) {
      break;
    }
    write_acknowledgement(*next, now);
  }
  const bool heard = link_ != nullptr && unsent_bytes() < host_.output_bytes_max();
  if ((pauses_ & pause_by_answers) != 0 && heard &&
      acknowledgements_.size() < acknowledgements_waiting_max / 2) {
    set_pause(pause_by_answers, false, now);
  }
}

void Session::output_drained(Now now) {
  pump(now);
  drain_acknowledgements(now);
}

void Session::write_acknowledgement(const Acknowledgement& acknowledgement, Now now) {
  using mqtt::PacketType;
  std::string& out = link_->output();
  const bool failed = mqtt::is_error(acknowledgement.reason);
  if (!acknowledgement.frame.empty()) {
    out.append(acknowledgement.frame);
  } else if (failed && settings_.problem_information && *acknowledgement.what != '\0') {
    const std::size_t before = out.size();
    const std::string_view text = acknowledgement.what;
    if (acknowledgement.type == PacketType::puback) {
      mqtt::encode(mqtt::Puback{acknowledgement.packet_id, acknowledgement.reason, text, {}},
                   settings_.version, out);
    } else {
      mqtt::encode(mqtt::Pubrec{acknowledgement.packet_id, acknowledgement.reason, text, {}},
                   settings_.version, out);
    }
    if (!fits(out.size() - before)) {  // [MQTT-3.4.2-2] [MQTT-3.5.2-2]: rather no reason string
      out.resize(before);
      mqtt::encode_ack(acknowledgement.type, acknowledgement.packet_id, acknowledgement.reason,
                       settings_.version, out);
    }
  } else {
    mqtt::encode_ack(acknowledgement.type, acknowledgement.packet_id, acknowledgement.reason,
                     settings_.version, out);
  }
  link_->output_changed();
  const bool completed = acknowledgement.type == PacketType::pubcomp &&
                         std::erase(inbound_ids_, acknowledgement.packet_id) > 0;
  if ((acknowledgement.counted || completed) && inbound_open_ > 0) {
    --inbound_open_;
  }
  if (acknowledgement.type == PacketType::connack && !open_) {
    open_ = introduced_ = true;
    pump(now);
  }
}

void Session::fail(const mqtt::Violation& violation, Now now) {
  host_.counters().protocol_errors.add();
  host_.end_connection(*this, violation.reason, violation.what, CloseCause::protocol_error, now);
}

}  // namespace skerry::session
