// What of a session is on disk alone: letting go of it, and reading it back before its turn comes.

#include <algorithm>
#include <utility>

#include "session/session.hpp"

namespace skerry::session {
namespace {

using State = Delivery::State;

/// Of a connected session's queue this much stays in memory: a second of most links.
constexpr std::size_t kept_messages = 128;
constexpr std::size_t kept_bytes = 256 * 1024;
/// One read brings this much, and another begins when less than half is left.
constexpr std::size_t read_messages = 128;
constexpr std::size_t read_bytes = 256 * 1024;

}  // namespace

/// It is to be sent (again) and its message is not here. What is under way to storage or done is
/// not.
bool Session::is_unread(const Delivery& delivery) noexcept {
  return delivery.state == State::sent && !delivery.on_wire && !delivery.message &&
         delivery.stored != nullptr;
}

Delivery* Session::find_unread(MessageId id) noexcept {
  for (std::size_t i = 0; i < inflight_.size(); ++i) {
    if (is_unread(inflight_[i]) && inflight_[i].stored->id == id) {
      return &inflight_[i];
    }
  }
  return nullptr;
}

// The client has seen it or is not here: only another connection will ask for it again.
bool Session::page_out_inflight() {
  bool again = false;
  for (std::size_t i = 0; i < inflight_.size(); ++i) {
    Delivery& delivery = inflight_[i];
    if (delivery.state != State::sent || (!delivery.on_wire && connected())) {
      continue;
    }
    if (may_leave_memory(delivery)) {
      delivery.message = {};
    } else {
      again = again || (delivery.message && delivery.stored && delivery.group_core == no_core &&
                        delivery.stored->state.load() == Stored::State::pending);
    }
  }
  return again;
}

bool Session::page_out() {
  paging_ = false;
  if (durable_id_ == DurableId{}) {
    return false;
  }
  bool again = inflight_resident_ && page_out_inflight();
  inflight_resident_ = again;
  again =
      (connected() ? queue_.page_out(kept_messages, kept_bytes) : queue_.page_out(0, 0)) || again;
  paging_ = again;
  if (!again) {
    read_ahead();
  }
  return again;
}

void Session::read_ahead() {
  const bool waits = inflight_unread_ || (queue_.has_paged() && can_send() &&
                                          queue_.runs_low(read_messages / 2, read_bytes / 2));
  if (open_ && !reading_ && waits) {
    reading_ = true;
    host_.read_back(*this);
  }
}

Session::Reading Session::begin_reading() {
  Reading reading{.serial = ++read_serial_, .ids = {}};
  for (std::size_t i = 0; i < inflight_.size() && reading.ids.size() < read_messages; ++i) {
    if (is_unread(inflight_[i])) {
      reading.ids.push_back(inflight_[i].stored->id);
    }
  }
  if (reading.ids.empty()) {
    queue_.append_wanted(read_messages, read_bytes, reading.ids);
  }
  reading_ = open_ && !reading.ids.empty();
  return reading;
}

Session::Awaited Session::awaited(MessageId id) noexcept {
  const Delivery* open = find_unread(id);
  return open == nullptr ? Awaited{durable_id_, false}
                         : Awaited{open->recipient, open->qos == mqtt::Qos::exactly_once};
}

void Session::take_back(MessageId id, Delivery delivery, DropReason reason) {
  Delivery* open = find_unread(id);
  if (delivery.message) {
    host_.counters().messages_read_back.add();
    if (open == nullptr) {
      queue_.take_back(id, std::move(delivery));
      return;
    }
    open->message = std::move(delivery.message);
    open->subscription_identifiers = std::move(delivery.subscription_identifiers);
    open->retain = delivery.retain;
    return;
  }
  Delivery gone;
  if (open == nullptr && !queue_.give_up(id, durable_id_, gone)) {
    return;  // dropped meanwhile
  }
  host_.counters().dropped[static_cast<int>(reason)].add();
  const bool twice = open != nullptr && open->qos == mqtt::Qos::exactly_once;
  if (twice && open->sent_before) {
    // The client may keep its packet id and would take the next message of that id for this one: a
    // PUBREL ends the exchange whether it knows it or not.
    open->state = State::unreleased;
    return;
  }
  if (twice) {
    host_.forget_outbound(*this, open->packet_id);
  }
  host_.finish(*this, open != nullptr ? *open : gone);
  if (open != nullptr) {
    remove_inflight(*open);
  }
}

void Session::finish_reading(Now now) {
  reading_ = false;
  resend_due_ = resend_due_ || inflight_unread_;
  pump(now);
}

}  // namespace skerry::session
