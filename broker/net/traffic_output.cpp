// The writing half of Traffic: the end-of-turn flush, closing with a last word, deadlines.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/admission.hpp"
#include "net/traffic.hpp"

namespace skerry::net {

namespace {

// Connections and bytes in one flush; a fan-out to thousands goes on after timers and mail had
// their turn. And bytes of one connection before others get theirs.
constexpr std::size_t writes_per_flush_max = 256;
constexpr std::size_t bytes_per_flush_max = 2 * 1024 * 1024;
constexpr std::size_t bytes_per_write_max = 256 * 1024;
// How long a closed connection may take to accept our last words and to end its side.
constexpr Milliseconds linger_max{2'000};
// Closed connections that may linger at a time; more are cut at once.
constexpr std::size_t lingering_connections_max = 1'024;

// A piece counts whole until all of it is sent. What it is told must be what it sees: told before
// that it has room, it would look, find none, and wait for a word that came already.
std::size_t bytes_seen_by_session(Connection& connection) noexcept {
  return connection.backlog_bytes() + connection.output().size();
}

}  // namespace

void Traffic::mark_dirty(Connection& connection) {
  connection.output_.appended();
  count_memory(connection);
  if (!connection.dirty_) {
    connection.dirty_ = true;
    dirty_.push_back(connection.id_);
  }
}

void Traffic::flush(Now now) {
  std::size_t budget = writes_per_flush_max;
  std::size_t bytes = 0;
  while (dirty_next_ < dirty_.size() && budget > 0 && bytes < bytes_per_flush_max) {
    Connection* const connection = table_.find(dirty_[dirty_next_++]);
    if (connection == nullptr) {
      continue;
    }
    connection->dirty_ = false;
    if (!connection->write_blocked_) {
      --budget;
      bytes += write(*connection, now);
    }
  }
  if (dirty_next_ == dirty_.size()) {
    dirty_.clear();
    dirty_next_ = 0;
  } else if (dirty_next_ > dirty_.size() / 2) {
    dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<std::ptrdiff_t>(dirty_next_));
    dirty_next_ = 0;
  }
}

// The bytes that the socket took. The connection may be gone afterwards.
std::size_t Traffic::write(Connection& connection, Now now) {
  std::size_t taken = 0;
  if (!connection.output_.empty()) {
    // A session that finds its output full waits to hear that it has drained; how much is full
    // depends on what others hold, so everybody who held something hears of it.
    connection.output_high_ =
        connection.output_high_ || bytes_seen_by_session(connection) >= output_bytes_least;
    const std::optional<std::size_t> sent = send_some(connection, now);
    if (!sent) {
      return 0;
    }
    taken = *sent;
  }
  update_interest(connection);
  if (connection.phase_ == Phase::closing && connection.output_.empty()) {
    finish_close(connection);
    return taken;
  }
  if (connection.output_high_ &&
      bytes_seen_by_session(connection) < output_bytes_max(connection) / 2) {
    connection.output_high_ = false;
    if (connection.phase_ == Phase::attached) {
      shard_.on_output_drained(connection.session_, now);
    }
  }
  return taken;
}

// None: the socket is broken, and the connection gone or soon to be.
std::optional<std::size_t> Traffic::send_some(Connection& connection, Now now) {
  std::size_t taken = 0;
  while (!connection.output_.empty() && taken < bytes_per_write_max) {
    const Bytes front = connection.output_.front();
    const auto result = connection.stream_->write(front);
    if (result.status == transport::IoStatus::failed ||
        result.status == transport::IoStatus::closed) {
      connection.output_.clear();
      if (connection.phase_ == Phase::closing || connection.phase_ == Phase::draining) {
        destroy(connection);
      } else {
        count_memory(connection);
        // The next read finds the end, in the same way as for a peer that went by itself.
        ::shutdown(connection.stream_->descriptor(), SHUT_RDWR);
      }
      return std::nullopt;
    }
    taken += result.bytes;
    connection.write_blocked_ = result.bytes < front.size();
    connection.output_.sent(result.bytes);
    if (connection.write_blocked_) {
      break;
    }
  }
  counters_.bytes_sent.add(taken);
  connection.taken_at_ = taken > 0 ? now.steady : connection.taken_at_;
  count_memory(connection);
  if (!connection.output_.empty() && !connection.write_blocked_) {
    mark_dirty(connection);  // others first
  }
  return taken;
}

void Traffic::begin_close(Connection& connection) {
  if (connection.phase_ == Phase::closing || connection.phase_ == Phase::draining) {
    return;
  }
  connection.session_ = 0;
  connection.attempt_.reset();
  connection.phase_ = Phase::closing;
  lobby_.leave(connection.id_.slot);
  connection.read_wants_write_ = false;
  connection.spoke_ = connection.unsent_bytes() > 0;
  ++lingering_;
  deadlines_.set(connection.id_.slot, turn_ + linger_max);
  mark_dirty(connection);
}

void Traffic::refuse(Connection& connection) {
  counters_.connections_refused.add();
  begin_close(connection);
}

void Traffic::finish_close(Connection& connection) {
  connection.stream_->shutdown();
  // Closing a socket with unread bytes resets it, and a reset may overtake our last words.
  if (!connection.spoke_ || lingering_ > lingering_connections_max) {
    destroy(connection);
    return;
  }
  connection.phase_ = Phase::draining;
  update_interest(connection);
}

void Traffic::drain(Connection& connection) {
  const ssize_t count =
      ::recv(connection.stream_->descriptor(), scratch_.get(), scratch_bytes, MSG_DONTWAIT);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
    destroy(connection);
  }
}

void Traffic::lost(Connection& connection, Now now) {
  switch (connection.phase_) {
    case Phase::handshake:
    case Phase::connect:
    case Phase::authenticate:
      counters_.connections_refused.add();
      break;
    case Phase::attached:
      shard_.on_closed(connection.session_, session::CloseCause::connection_lost, now);
      break;
    case Phase::closing:
    case Phase::draining:
      break;
  }
  destroy(connection);
}

void Traffic::destroy(Connection& connection) {
  if (connection.phase_ == Phase::closing || connection.phase_ == Phase::draining) {
    --lingering_;
  }
  deadlines_.clear(connection.id_.slot);
  lobby_.leave(connection.id_.slot);
  counters_.connections_open.subtract();
  forget_memory(connection);
  // The last descriptor of a socket takes it out of the epoll set when it is closed.
  table_.remove(connection.id_);
}

void Traffic::on_timer(Now now) {
  end_slow_consumers(now);
  while (const auto slot = deadlines_.pop_due(now.steady)) {
    Connection* const connection = table_.at_slot(*slot);
    switch (connection->phase_) {
      case Phase::handshake:
        if (lobby_.is_in_line(*slot)) {
          shed(*connection, ShedReason::waited);
          break;
        }
        [[fallthrough]];
      case Phase::connect:
        admission_->on_slow_connect(*connection);
        lost(*connection, now);
        break;
      case Phase::authenticate:
        admission_->on_timeout(*connection);
        break;
      case Phase::attached:
        expire(*connection, now);
        break;
      case Phase::closing:
      case Phase::draining:
        destroy(*connection);
        break;
    }
  }
}

void Traffic::close_unattached() {
  for (std::uint32_t slot = 0; slot < table_.slot_count(); ++slot) {
    Connection* const connection = table_.at_slot(slot);
    if (connection != nullptr && connection->phase_ < Phase::attached) {
      destroy(*connection);
    }
  }
}

void Traffic::close_all() {
  for (std::uint32_t slot = 0; slot < table_.slot_count(); ++slot) {
    if (Connection* const connection = table_.at_slot(slot); connection != nullptr) {
      destroy(*connection);
    }
  }
}

}  // namespace skerry::net
