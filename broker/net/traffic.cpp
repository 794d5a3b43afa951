// The reading half of Traffic: events, handshakes, frames. Writing and closing are in
// traffic_output.cpp.
#include "net/traffic.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.hpp"
#include "net/admission.hpp"

namespace skerry::net {

namespace {

constexpr int events_per_round_max = 512;
constexpr std::uint32_t listener_mark = UINT32_MAX;
constexpr std::uint32_t work_mark = UINT32_MAX - 1;

constexpr std::uint8_t interest_read = 1;
constexpr std::uint8_t interest_write = 2;
constexpr std::uint8_t interest_hang_up = 4;

// How far ahead a certificate's end is looked for, so that a wall clock that is set is noticed.
constexpr Milliseconds expiry_check_max = std::chrono::hours(1);

std::uint64_t pack(ConnectionId id) noexcept {
  return (std::uint64_t{id.generation} << 32) | id.slot;
}

std::uint32_t epoll_mask(std::uint8_t interest) noexcept {
  return ((interest & interest_read) != 0 ? std::uint32_t{EPOLLIN} : 0U) |
         ((interest & interest_write) != 0 ? std::uint32_t{EPOLLOUT} : 0U) |
         ((interest & interest_hang_up) != 0 ? std::uint32_t{EPOLLRDHUP} : 0U);
}

Lobby::Options lobby_options(const Limits& limits, std::size_t core_count) {
  const std::size_t rest = core_count - 1;  // rounds up
  return {.places_max = (limits.unattached_max + rest) / core_count,
          .handshakes_max = (limits.handshakes_max + rest) / core_count};
}

// Nobody saves up more than this; what a step takes beyond it is paid back.
constexpr double handshake_burst_microseconds = 5'000;

Rate handshake_rate(const Limits& limits) {
  constexpr double microseconds_per_percent = 10'000;
  const std::uint32_t percent = limits.handshake_cpu_percent;
  return {percent >= 100 ? 0 : percent * microseconds_per_percent, handshake_burst_microseconds};
}

}  // namespace

Traffic::Traffic(const Limits& limits, std::uint16_t core_count, shard::Shard& shard,
                 Counters& counters)
    : limits_(limits),
      shard_(shard),
      counters_(counters),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      scratch_(std::make_unique<std::uint8_t[]>(scratch_bytes)),
      events_(std::make_unique<epoll_event[]>(events_per_round_max)),
      lobby_(lobby_options(limits, core_count)),
      handshake_rate_(handshake_rate(limits)) {
  SKERRY_ASSERT(epoll_ >= 0);
}

Traffic::~Traffic() {
  ::close(epoll_);
}

void Traffic::watch_listener(int descriptor, std::uint32_t index, bool on) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = pack({listener_mark, index});
  ::epoll_ctl(epoll_, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, descriptor, &event);
}

void Traffic::watch_work(int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = pack({work_mark, 0});
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
}

void Traffic::begin_turn(Now now) noexcept {
  turn_ = now.steady;
  counters_.unattached.set(lobby_.size());
  counters_.handshakes_waiting.set(lobby_.in_line());
  counters_.handshakes_open.set(lobby_.handshakes());
}

Connection& Traffic::add(std::unique_ptr<Connection> connection, SteadyTime deadline,
                         std::optional<std::uint64_t> address) {
  ConnectionId id;
  Connection& added = table_.insert(std::move(connection), id);
  added.id_ = id;
  added.connect_until_ = deadline;
  if (address) {
    lobby_.enter(id.slot, *address);
  }
  epoll_event event{};
  added.interest_ = added.phase_ == Phase::authenticate ? 0 : interest_read;
  if (added.phase_ == Phase::handshake) {
    added.interest_ = interest_read | interest_hang_up;
  }
  event.events = epoll_mask(added.interest_);
  event.data.u64 = pack(id);
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, added.stream_->descriptor(), &event);
  deadlines_.set(id.slot, deadline);
  counters_.connections_open.add();
  added.taken_at_ = turn_;
  return added;
}

std::unique_ptr<Connection> Traffic::release(Connection& connection) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.stream_->descriptor(), nullptr);
  deadlines_.clear(connection.id_.slot);
  lobby_.leave(connection.id_.slot);
  counters_.connections_open.subtract();
  forget_memory(connection);
  return table_.remove(connection.id_);
}

void Traffic::wait(Milliseconds time_max) {
  const int count =
      ::epoll_wait(epoll_, events_.get(), events_per_round_max, static_cast<int>(time_max.count()));
  ready_ = static_cast<std::size_t>(std::max(count, 0));
}

void Traffic::serve(Round& round, Now now) {
  round.listeners.clear();
  round.woken = false;
  round.events = read_soon_.size() + ready_;
  serve_pending(now);
  for (std::size_t i = 0; i < ready_; ++i) {
    const epoll_event& event = events_[i];
    const auto slot = static_cast<std::uint32_t>(event.data.u64);
    if (slot == listener_mark) {
      round.listeners.push_back(static_cast<std::uint32_t>(event.data.u64 >> 32));
    } else if (slot == work_mark) {
      round.woken = true;
    } else {
      on_event(event, now);
    }
  }
  ready_ = 0;
}

void Traffic::serve_pending(Now now) {
  std::vector<ConnectionId> ready;
  ready.swap(read_soon_);
  for (const ConnectionId id : ready) {
    Connection* const connection = table_.find(id);
    if (connection == nullptr) {
      continue;
    }
    connection->pending_ = false;
    const bool reads = connection->phase_ == Phase::connect ||
                       (connection->phase_ == Phase::attached && !connection->paused_);
    if (reads) {
      on_readable(*connection, now);
    }
  }
}

void Traffic::on_event(const epoll_event& event, Now now) {
  Connection* const connection = table_.find({static_cast<std::uint32_t>(event.data.u64),
                                              static_cast<std::uint32_t>(event.data.u64 >> 32)});
  if (connection == nullptr) {
    return;
  }
  if (connection->phase_ == Phase::handshake) {
    on_handshake_event(*connection, event.events, now);
    return;
  }
  if ((event.events & EPOLLIN) == 0 && (event.events & (EPOLLERR | EPOLLHUP)) != 0) {
    lost(*connection, now);
    return;
  }
  if ((event.events & EPOLLOUT) != 0) {
    connection->write_blocked_ = false;
    mark_dirty(*connection);
  }
  const bool resume_read = connection->read_wants_write_ && (event.events & EPOLLOUT) != 0;
  switch (connection->phase_) {
    case Phase::handshake:
      return;
    case Phase::connect:
    case Phase::attached:
      if (((event.events & EPOLLIN) != 0 && !connection->paused_) || resume_read) {
        connection->read_wants_write_ = false;
        on_readable(*connection, now);
      }
      return;
    case Phase::draining:
      drain(*connection);
      return;
    case Phase::authenticate:
    case Phase::closing:
      update_interest(*connection);
      return;
  }
}

void Traffic::on_readable(Connection& connection, Now now) {
  std::size_t budget = read_budget_bytes;
  for (;;) {
    const std::size_t wanted = connection.quantum_.bytes();
    const transport::IoResult result = connection.stream_->read({scratch_.get(), wanted});
    switch (result.status) {
      case transport::IoStatus::ok:
        break;
      case transport::IoStatus::want_read:
        return;
      case transport::IoStatus::want_write:
        connection.read_wants_write_ = true;
        update_interest(connection);
        return;
      case transport::IoStatus::closed:
      case transport::IoStatus::failed:
        lost(connection, now);
        return;
    }
    counters_.bytes_received.add(result.bytes);
    const std::uint64_t before = counters_.matched.read();
    if (!consume(connection, {scratch_.get(), result.bytes}, now)) {
      return;
    }
    if (result.bytes >= ReadQuantum::least) {
      connection.quantum_.note(result.bytes, counters_.matched.read() - before);
    }
    if (connection.paused_ || !connection.stream_->has_pending()) {
      return;
    }
    if (result.bytes >= budget || connection.quantum_.reduced()) {
      read_soon(connection);
      return;
    }
    budget -= result.bytes;
  }
}

bool Traffic::consume(Connection& connection, Bytes bytes, Now now) {
  if (bytes.empty()) {
    return true;
  }
  if (connection.phase_ == Phase::connect && connection.decoder_.buffered_bytes() == 0 &&
      (bytes[0] >> 4) != static_cast<std::uint8_t>(mqtt::PacketType::connect)) {
    // [MQTT-3.1.0-1]
    violation(connection, {mqtt::Reason::protocol_error, "the first packet must be CONNECT"}, now);
    return false;
  }
  connection.decoder_.feed(bytes);
  for (;;) {
    const auto next = connection.decoder_.next();
    if (next.has_error()) {
      violation(connection, next.error(), now);
      return false;
    }
    if (!next->has_value()) {
      return may_keep_input(connection, now);
    }
    const mqtt::Frame& frame = **next;
    if (connection.phase_ == Phase::connect) {
      admission_->on_first_frame(connection, frame, now);
      return false;
    }
    if (!shard_.on_frame(connection.session_, frame, now) || connection.phase_ != Phase::attached) {
      return false;
    }
  }
}

void Traffic::violation(Connection& connection, const mqtt::Violation& violation, Now now) {
  if (connection.phase_ == Phase::attached) {
    shard_.on_violation(connection.session_, violation, now);
  } else {
    admission_->on_violation(connection, violation);
  }
}

void Traffic::read_soon(Connection& connection) {
  if (!connection.pending_) {
    connection.pending_ = true;
    read_soon_.push_back(connection.id_);
  }
}

void Traffic::attach(Connection& connection, shard::Shard::SessionId session, WallTime not_after,
                     Now now) {
  connection.session_ = session;
  connection.not_after_ = not_after;
  connection.decoder_.set_packet_size_max(limits_.packet_size_max);
  lobby_.leave(connection.id_.slot);
  deadlines_.clear(connection.id_.slot);
  expire(connection, now);
  update_interest(connection);
}

void Traffic::expire(Connection& connection, Now now) {
  if (connection.not_after_ == WallTime::max()) {
    return;
  }
  if (now.wall >= connection.not_after_) {
    shard_.expire(connection.session_, now);
    return;
  }
  const Milliseconds rest = connection.not_after_ - now.wall;
  deadlines_.set(connection.id_.slot, now.steady + std::min(rest, expiry_check_max));
}

// A time that has passed already is noticed by the timer of this turn, not in the middle of it.
void Traffic::set_not_after(Connection& connection, WallTime when) {
  connection.not_after_ = when;
  if (connection.phase_ == Phase::attached) {
    deadlines_.clear(connection.id_.slot);
    if (when != WallTime::max()) {
      deadlines_.set(connection.id_.slot, turn_);
    }
  }
}

void Traffic::wait_for_authenticator(Connection& connection) {
  connection.phase_ = Phase::authenticate;
  lobby_.leave(connection.id_.slot);
  update_interest(connection);
}

void Traffic::pause(Connection& connection, bool paused) {
  if (connection.paused_ == paused || connection.phase_ != Phase::attached) {
    return;
  }
  connection.paused_ = paused;
  if (paused) {
    counters_.reads_paused.add();
  } else if (connection.stream_->has_pending()) {
    read_soon(connection);
  }
  update_interest(connection);
}

void Traffic::update_interest(Connection& connection) {
  bool reads = false;
  const bool in_line = lobby_.is_in_line(connection.id_.slot);
  const bool hang_up =
      connection.phase_ == Phase::handshake && !lobby_.has_begun(connection.id_.slot);
  switch (connection.phase_) {
    case Phase::handshake:
      reads = !connection.write_blocked_ && !in_line;
      break;
    case Phase::connect:
    case Phase::draining:
      reads = true;
      break;
    case Phase::attached:
      reads = !connection.paused_;
      break;
    case Phase::authenticate:
    case Phase::closing:
      break;
  }
  const bool writes = connection.write_blocked_ || connection.read_wants_write_;
  const auto interest =
      static_cast<std::uint8_t>((reads ? interest_read : 0) | (writes ? interest_write : 0) |
                                (hang_up ? interest_hang_up : 0));
  if (interest == connection.interest_) {
    return;
  }
  connection.interest_ = interest;
  epoll_event event{};
  event.events = epoll_mask(interest);
  event.data.u64 = pack(connection.id_);
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.stream_->descriptor(), &event);
}

}  // namespace skerry::net
