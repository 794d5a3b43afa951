// Link: what a session sees of the connection that carries it: a place to append bytes and a way to
// end it. Implemented by net::Connection, and by a string in tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/now.hpp"

namespace skerry::session {

/// Why a connection ended, as seen from our side; shown in presence and logs.
enum class CloseCause : std::uint8_t {
  client_disconnected,   ///< DISCONNECT with normal disconnection
  disconnect_with_will,  ///< DISCONNECT 0x04
  connection_lost,       ///< socket or TLS error, or end without DISCONNECT
  keep_alive_timeout,
  protocol_error,
  taken_over,
  administrative,  ///< an operator wanted it so; the client keeps its rights
  server_shutdown,
  slow_consumer,
  storage_failure,
  too_fast,  ///< sent more in a second than its limits allow
  // From here on the rights of the client have ended, and its will with them.
  not_authorized,  ///< what its policy took away, or credentials that are good no more
  expired,
  revoked,
  suspended,
  retired,
  erased,
};

/// Has the connection ended because its client may not be here any more?
constexpr bool ends_rights(CloseCause cause) noexcept {
  return cause >= CloseCause::not_authorized;
}

/// The stable name of a cause, as presence shows it.
constexpr const char* name_of(CloseCause cause) noexcept {
  switch (cause) {
    case CloseCause::client_disconnected:
      return "normal";
    case CloseCause::disconnect_with_will:
      return "disconnect_with_will";
    case CloseCause::connection_lost:
      return "connection_lost";
    case CloseCause::keep_alive_timeout:
      return "keep_alive_timeout";
    case CloseCause::protocol_error:
      return "protocol_error";
    case CloseCause::taken_over:
      return "session_taken_over";
    case CloseCause::administrative:
      return "administrative_action";
    case CloseCause::server_shutdown:
      return "server_shutdown";
    case CloseCause::slow_consumer:
      return "slow_consumer";
    case CloseCause::storage_failure:
      return "storage_failure";
    case CloseCause::too_fast:
      return "message_rate_too_high";
    case CloseCause::not_authorized:
      return "not_authorized";
    case CloseCause::expired:
      return "expired";
    case CloseCause::revoked:
      return "revoked";
    case CloseCause::suspended:
      return "suspended";
    case CloseCause::retired:
      return "retired";
    case CloseCause::erased:
      return "erased";
  }
  return "unknown";
}

class Link {
 public:
  /// Where encoded packets are appended. The caller calls output_changed() afterwards.
  virtual std::string& output() = 0;

  /// Bytes that are older than what is in output() and that the peer has not taken yet.
  std::size_t backlog_bytes() const noexcept { return backlog_bytes_; }
  /// Of these and what is in output(), how many this connection may have at most, by what it shares
  /// with others; `cap` when there is enough. What Host::output_bytes_max() says holds as well.
  virtual std::size_t output_share(std::size_t cap) const noexcept { return cap; }

  /// Puts the connection on the list of those that are written at the end of the turn. Cheap when
  /// it is there already.
  virtual void output_changed() = 0;

  /// Ends the connection after what is in output() was sent (or could not be within a short time).
  /// No frame is handed to the session afterwards, and Shard::on_closed() is not called for it: the
  /// caller has detached the session already.
  virtual void close(CloseCause cause) = 0;

  /// Stops (true) or goes on (false) reading from the peer; used while we are behind.
  virtual void pause_reading(bool paused) = 0;

  /// The right to be connected ends at `when`, not when it was said at first: Shard::expire() is to
  /// be called then.
  virtual void expires_at(WallTime when) = 0;

 protected:
  ~Link() = default;
  void set_backlog_bytes(std::size_t bytes) noexcept { backlog_bytes_ = bytes; }

 private:
  std::size_t backlog_bytes_ = 0;
};

}  // namespace skerry::session
