#include "connection.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "failure.hpp"

namespace skerry::bench {

Connection::Connection(const Endpoint& endpoint, SSL* ssl) : ssl_(ssl) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) {
    throw Failure(std::string("no socket: ") + std::strerror(errno));
  }
  const int one = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr generic;
  static_assert(sizeof generic == sizeof endpoint.address);
  std::memcpy(&generic, &endpoint.address, sizeof generic);
  if (::connect(socket_, &generic, sizeof generic) != 0 && errno != EINPROGRESS) {
    state_ = State::closed;
    trouble_ = std::string("no connection: ") + std::strerror(errno);
  }
  if (ssl_ != nullptr) {
    SSL_set_fd(ssl_, socket_);
    SSL_set_tlsext_host_name(ssl_, endpoint.host.c_str());
    SSL_set_connect_state(ssl_);
  }
}

Connection::~Connection() {
  close(false);
  SSL_free(ssl_);
}

void Connection::close(bool reset) noexcept {
  if (socket_ < 0) {
    return;
  }
  if (reset) {
    const linger at_once{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  } else if (ssl_ != nullptr && state_ == State::open) {
    SSL_shutdown(ssl_);  // Says goodbye; nobody waits for the answer.
  }
  ::close(socket_);
  socket_ = -1;
  state_ = State::closed;
}

Connection::Progress Connection::advance() {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      trouble_ = std::string("no connection: ") + std::strerror(error);
      return Progress::failed;
    }
    state_ = ssl_ == nullptr ? State::open : State::handshaking;
  }
  return state_ == State::handshaking ? shake_hands() : Progress::done;
}

Connection::Progress Connection::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    state_ = State::open;
    return Progress::done;
  }
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return Progress::wants_read;
    case SSL_ERROR_WANT_WRITE:
      return Progress::wants_write;
    default:
      trouble_ = "the TLS handshake failed: " + tls_error();
      return Progress::failed;
  }
}

Connection::Read Connection::read(std::span<char> into) {
  Read read;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_, into.data(), into.size(), &read.bytes);
    read.may_have_more = result == 1;  // A record that is decrypted already makes no event.
    read.is_closed = result != 1 && SSL_get_error(ssl_, result) != SSL_ERROR_WANT_READ;
  } else {
    const ssize_t result = ::recv(socket_, into.data(), into.size(), 0);
    read.bytes = result > 0 ? static_cast<std::size_t>(result) : 0;
    read.may_have_more = read.bytes == into.size();
    read.is_closed = result == 0 || (result < 0 && errno != EAGAIN);
  }
  if (read.is_closed) {
    trouble_ = "the broker closed the connection";
  }
  return read;
}

Connection::Progress Connection::send_some(std::size_t& sent) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_write_ex(ssl_, output.data() + sent, output.size() - sent, &count);
    sent += count;
    if (result == 1) {
      return Progress::done;
    }
    const int error = SSL_get_error(ssl_, result);
    return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? Progress::wants_write
                                                                         : Progress::failed;
  }
  const ssize_t result = ::send(socket_, output.data() + sent, output.size() - sent, MSG_NOSIGNAL);
  if (result < 0) {
    return errno == EAGAIN ? Progress::wants_write : Progress::failed;
  }
  sent += static_cast<std::size_t>(result);
  return Progress::done;
}

Connection::Progress Connection::flush() {
  std::size_t sent = 0;
  Progress progress = Progress::done;
  while (sent < output.size() && progress == Progress::done) {
    progress = send_some(sent);
  }
  output.erase(0, sent);
  if (progress == Progress::failed) {
    trouble_ = "the broker closed the connection";
  }
  return progress;
}

}  // namespace skerry::bench
