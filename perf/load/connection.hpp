// One connection of a load: a non-blocking socket, with TLS or without, and what is unsent.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>

#include "options.hpp"

namespace skerry::load {

/// Connects, and shakes hands with TLS, blocking; after that every call returns at once.
class Connection {
 public:
  /// Ends the program with a sentence when there is no connection to be had.
  Connection(const Options& options, SSL_CTX* tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int descriptor() const noexcept { return socket_; }
  std::string& output() noexcept { return output_; }

  /// Appends what has arrived to input(). False: the server has closed.
  bool read();
  std::string& input() noexcept { return input_; }

  /// Sends what output() holds. False: some of it must wait until the socket can be written.
  bool flush();

  bool is_dirty = false;        ///< in the list of those to be flushed
  bool waits_to_write = false;  ///< epoll watches for room

 private:
  int socket_ = -1;
  SSL* ssl_ = nullptr;
  std::string input_;
  std::string output_;
};

/// Null without TLS.
SSL_CTX* make_tls(const Options& options);

/// Ends the program: exit code 1.
[[noreturn]] void fail(const std::string& sentence);

}  // namespace skerry::load
