// The part of Traffic before a connection speaks MQTT: who has a TLS handshake to go on with stands
// in line in the Lobby; here the line moves, for a moment at a time and for its share of the core.
#include <sys/epoll.h>
#include <sys/socket.h>

#include "net/address.hpp"
#include "net/admission.hpp"
#include "net/traffic.hpp"

namespace skerry::net {

namespace {

// One moment of handshakes: a step costs some 300 microseconds, so messages wait for one or two.
constexpr std::chrono::microseconds handshake_slice{500};
// How soon the line is looked at again when all handshakes that may be open are.
constexpr Milliseconds stalled_look{50};

}  // namespace

void Traffic::on_handshake_event(Connection& connection, std::uint32_t events, Now now) {
  if ((events & EPOLLOUT) != 0) {
    connection.write_blocked_ = false;
  }
  const bool begun = lobby_.has_begun(connection.id_.slot);
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 || (!begun && (events & EPOLLRDHUP) != 0)) {
    // Gone before we did anything for it: a probe of a balancer, a flood, somebody who gave up.
    if (begun) {
      counters_.handshakes_failed.add();
      admission_->on_handshake_failed(connection);
    }
    lost(connection, now);
    return;
  }
  if ((events & (EPOLLIN | EPOLLOUT)) != 0) {
    line_up(connection, now);
  }
}

// The time in line is ours, not the peer's: its deadline stands still meanwhile.
void Traffic::line_up(Connection& connection, Now now) {
  if (!lobby_.is_in_line(connection.id_.slot)) {
    lobby_.line_up(connection.id_.slot);
    connection.lined_up_at_ = now.steady;
    deadlines_.set(connection.id_.slot, now.steady + limits_.handshake_wait_max);
    update_interest(connection);
  }
}

bool Traffic::may_shake_hands(Now now) noexcept {
  if (lobby_.in_line() == 0) {
    handshakes_again_ = SteadyTime::max();
    return false;
  }
  if (!lobby_.may_call() && !lobby_.stalled(now.steady)) {
    handshakes_again_ = now.steady + stalled_look;
    return false;
  }
  const SteadyTime ready = handshake_budget_.ready_at(handshake_rate_, 1, now.steady);
  handshakes_again_ = ready > now.steady ? ready : SteadyTime::max();
  return ready <= now.steady;
}

void Traffic::cut_stalled(Now now) {
  while (!lobby_.may_call()) {
    const auto slot = lobby_.stalled(now.steady);
    if (!slot) {
      return;
    }
    shed(*table_.at_slot(*slot), ShedReason::stalled);
  }
}

void Traffic::shake_hands(Now now) {
  cut_stalled(now);
  SteadyTime before = now.steady;
  do {
    const auto slot = lobby_.call(now.steady);
    if (!slot) {
      return;
    }
    handshake_step(*table_.at_slot(*slot), now);
    const SteadyTime after = std::chrono::steady_clock::now();
    const std::chrono::duration<double, std::micro> spent = after - before;
    counters_.handshake_microseconds.add(static_cast<std::uint64_t>(spent.count()));
    handshake_budget_.charge(handshake_rate_, spent.count(), after);
    before = after;
  } while (before - now.steady < handshake_slice &&
           handshake_budget_.ready_at(handshake_rate_, 1, before) <= before);
}

void Traffic::handshake_step(Connection& connection, Now now) {
  const std::uint32_t slot = connection.id_.slot;
  connection.connect_until_ += now.steady - connection.lined_up_at_;
  deadlines_.set(slot, connection.connect_until_);
  lobby_.handshake_begun(slot, now.steady);
  const transport::IoResult result = connection.stream_->handshake();
  switch (result.status) {
    case transport::IoStatus::ok:
      lobby_.handshake_ended(slot);
      counters_.handshakes_done.add();
      connection.phase_ = Phase::connect;
      update_interest(connection);
      if (connection.stream_->has_pending()) {
        on_readable(connection, now);
      }
      return;
    case transport::IoStatus::want_read:
      update_interest(connection);
      return;
    case transport::IoStatus::want_write:
      connection.write_blocked_ = true;
      update_interest(connection);
      return;
    case transport::IoStatus::closed:
    case transport::IoStatus::failed:
      counters_.handshakes_failed.add();
      admission_->on_handshake_failed(connection);
      lost(connection, now);
      return;
  }
}

bool Traffic::make_room(std::uint64_t address) {
  const auto slot = lobby_.victim(address);
  if (slot) {
    shed(*table_.at_slot(*slot), ShedReason::unattached);
  }
  return slot.has_value();
}

// By reset: nothing is sent that the peer would have to take, and no TIME_WAIT is left here.
void Traffic::shed(Connection& connection, ShedReason reason) {
  counters_.shed[static_cast<int>(reason)].add();
  counters_.connections_refused.add();
  reset_when_closed(connection.stream_->descriptor());
  destroy(connection);
}

}  // namespace skerry::net
