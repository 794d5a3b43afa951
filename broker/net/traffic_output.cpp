// The writing half of Traffic: the end-of-turn flush, closing with a last word, deadlines.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "net/admission.hpp"
#include "net/traffic.hpp"

namespace skerry::net {

namespace {

// Sends in one flush; a fan-out to thousands goes on after timers and mail had their turn.
constexpr std::size_t writes_per_flush_max = 256;
// How long a closed connection may take to accept our last words and to end its side.
constexpr Milliseconds linger_max{2'000};
// Closed connections that may linger at a time; more are cut at once.
constexpr std::size_t lingering_connections_max = 1'024;
// An empty output keeps this much memory: most clients' next packet fits.
constexpr std::size_t output_kept_bytes_max = 1'024;

}  // namespace

void Traffic::mark_dirty(Connection& connection) {
  count_memory(connection);
  if (!connection.dirty_) {
    connection.dirty_ = true;
    dirty_.push_back(connection.id_);
  }
}

void Traffic::flush(Now now) {
  std::size_t budget = writes_per_flush_max;
  while (dirty_next_ < dirty_.size() && budget > 0) {
    Connection* const connection = table_.find(dirty_[dirty_next_++]);
    if (connection == nullptr) {
      continue;
    }
    connection->dirty_ = false;
    if (!connection->write_blocked_) {
      --budget;
      write(*connection, now);
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

void Traffic::write(Connection& connection, Now now) {
  const std::size_t unsent = connection.unsent_bytes();
  if (unsent > 0) {
    connection.output_high_ =
        connection.output_high_ || connection.output_.size() >= output_bytes_max();
    const auto result =
        connection.stream_->write(as_bytes(connection.output_).subspan(connection.sent_));
    if (result.status == transport::IoStatus::failed ||
        result.status == transport::IoStatus::closed) {
      connection.output_.clear();
      connection.sent_ = 0;
      if (connection.phase_ == Phase::closing || connection.phase_ == Phase::draining) {
        destroy(connection);
      } else {
        // The next read finds the end, in the same way as for a peer that went by itself.
        ::shutdown(connection.stream_->descriptor(), SHUT_RDWR);
      }
      return;
    }
    counters_.bytes_sent.add(result.bytes);
    connection.sent_ += result.bytes;
    connection.taken_at_ = result.bytes > 0 ? now.steady : connection.taken_at_;
    connection.write_blocked_ = connection.unsent_bytes() > 0;
    trim_output(connection);
    count_memory(connection);
  }
  update_interest(connection);
  if (connection.phase_ == Phase::closing && !connection.write_blocked_) {
    finish_close(connection);
    return;
  }
  if (connection.output_high_ && connection.unsent_bytes() < output_bytes_max() / 2) {
    connection.output_high_ = false;
    if (connection.phase_ == Phase::attached) {
      shard_.on_output_drained(connection.session_, now);
    }
  }
}

void Traffic::trim_output(Connection& connection) {
  std::string& output = connection.output_;
  if (connection.sent_ == output.size()) {
    if (output.capacity() > output_kept_bytes_max) {
      std::string().swap(output);
    } else {
      output.clear();
    }
    connection.sent_ = 0;
  } else if (connection.sent_ >= output.size() / 2) {
    output.erase(0, connection.sent_);
    connection.sent_ = 0;
  }
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
