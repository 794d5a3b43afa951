// One connection of a load: a non-blocking socket, with TLS or without, and what is unsent. It
// never waits: whoever owns it calls again when the socket is ready.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "endpoint.hpp"

namespace skerry::bench {

class Connection {
 public:
  enum class State : std::uint8_t { connecting, handshaking, open, closed };
  enum class Progress : std::uint8_t { done, wants_read, wants_write, failed };

  /// Begins to connect. `ssl` is null without TLS; it becomes this connection's own.
  Connection(const Endpoint& endpoint, SSL* ssl);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int descriptor() const noexcept { return socket_; }
  State state() const noexcept { return state_; }
  SSL* ssl() const noexcept { return ssl_; }

  /// Goes on with connecting and the handshake; `done` when open.
  Progress advance();

  struct Read {
    std::size_t bytes = 0;
    bool is_closed = false;
    bool may_have_more = false;
  };
  /// Reads once into `into`.
  Read read(std::span<char> into);

  /// Sends what output holds. wants_write: some of it waits for room.
  Progress flush();

  /// Ends it at once: with `reset`, no TIME_WAIT stays behind on either side.
  void close(bool reset) noexcept;

  /// Why it ended, in words.
  const std::string& trouble() const noexcept { return trouble_; }

  std::string output;
  std::string rest;           ///< of a packet that has not come whole
  bool is_dirty = false;      ///< in the list of those to be flushed
  std::uint32_t watched = 0;  ///< events that epoll watches

 private:
  Progress shake_hands();
  Progress send_some(std::size_t& sent);

  int socket_ = -1;
  SSL* ssl_ = nullptr;
  State state_ = State::connecting;
  std::string trouble_;
};

}  // namespace skerry::bench
