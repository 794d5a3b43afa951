#include "device/delivery.hpp"

#include "device/limits.hpp"

namespace skerry::agent {

namespace {

/// Nothing that waiting would change: the message is malformed, not allowed, or too large.
bool is_for_good(int reason) {
  constexpr int not_authorized = 0x87;
  constexpr int topic_name_invalid = 0x90;
  constexpr int packet_too_large = 0x95;
  constexpr int payload_format_invalid = 0x99;
  return reason == not_authorized || reason == topic_name_invalid || reason == packet_too_large ||
         reason == payload_format_invalid;
}

/// PUBCOMP to a PUBREL that was sent again over a new connection: the gateway has released the
/// message already and only its answer was lost (MQTT 5 section 3.7.2.1).
constexpr int packet_identifier_not_found = 0x92;

}  // namespace

void Delivery::pump(const SpoolTime& now, SteadyTime steady) {
  if (!up_ || in_flight_ || (held_until_ && steady < *held_until_)) {
    return;
  }
  held_until_.reset();
  while (spool_.next() && !send_next(now)) {
  }
}

/// False: there was nothing to send after all; the spool is shorter by what could not be.
bool Delivery::send_next(const SpoolTime& now) {
  const Urgency urgency = *spool_.next();
  SpoolQueue& queue = spool_.queue(urgency);
  const bool alone = urgency == Urgency::alarm || one_by_one_ > 0;
  const auto entries = queue.peek({alone ? 1 : batch_records_max, batch_bytes_max}, now);
  if (entries.empty()) {
    return false;
  }
  const auto message = urgency == Urgency::alarm ? alarm_message(device_, entries.front())
                                                 : telemetry_message(device_, entries);
  if (!message) {
    queue.finish(entries.front().sequence, true);
    return false;
  }
  const std::uint64_t last = entries[message->records - 1].sequence;
  in_flight_ = InFlight{++serial_, urgency, last, message->records};
  send_(serial_, *message, urgency == Urgency::alarm ? 2 : 1);
  return true;
}

void Delivery::link_up(bool session_kept) {
  up_ = true;
  if (in_flight_ && !session_kept) {
    link_replaced();
  }
}

void Delivery::link_replaced() noexcept {
  counters_.repeated += in_flight_ ? 1 : 0;
  in_flight_.reset();
}

void Delivery::delivered(std::uint64_t serial) {
  if (!in_flight_ || in_flight_->serial != serial) {
    return;
  }
  spool_.queue(in_flight_->urgency).finish(in_flight_->last);
  ++counters_.messages;
  counters_.records += in_flight_->records;
  if (in_flight_->urgency == Urgency::telemetry && one_by_one_ > 0) {
    --one_by_one_;
  }
  in_flight_.reset();
  backoff_.reset();
}

void Delivery::refused_for_good() {
  if (in_flight_->records > 1) {
    one_by_one_ = in_flight_->records;
    ++counters_.repeated;
    return;
  }
  spool_.queue(in_flight_->urgency).finish(in_flight_->last, true);
  if (in_flight_->urgency == Urgency::telemetry && one_by_one_ > 0) {
    --one_by_one_;
  }
}

void Delivery::undelivered(std::uint64_t serial, int reason, SteadyTime now, std::uint64_t random) {
  if (!in_flight_ || in_flight_->serial != serial) {
    return;
  }
  if (reason == packet_identifier_not_found) {
    delivered(serial);
    return;
  }
  if (is_for_good(reason)) {
    refused_for_good();
  } else {
    ++counters_.repeated;
    held_until_ = now + backoff_.next(random);
  }
  in_flight_.reset();
}

}  // namespace skerry::agent
