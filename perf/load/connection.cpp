#include "connection.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace skerry::load {
namespace {

constexpr std::size_t read_bytes = 65'536;

}  // namespace

void fail(const std::string& sentence) {
  std::fprintf(stderr, "skerry-load: %s\n", sentence.c_str());
  std::exit(1);
}

SSL_CTX* make_tls(const Options& options) {
  if (!options.tls) {
    return nullptr;
  }
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  bool good = SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) == 1;
  if (!options.certificate_file.empty()) {
    good = good &&
           SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) == 1;
  }
  if (!good) {
    fail("a file for TLS cannot be used: " + std::string(ERR_reason_error_string(ERR_get_error())));
  }
  return context;
}

Connection::Connection(const Options& options, SSL_CTX* tls) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic;
  static_assert(sizeof generic == sizeof address);
  std::memcpy(&generic, &address, sizeof address);
  if (::connect(socket_, &generic, sizeof generic) != 0) {
    fail("no connection to port " + std::to_string(options.port) + ": " + std::strerror(errno));
  }
  const int one = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (tls != nullptr) {
    ssl_ = SSL_new(tls);
    SSL_set_fd(ssl_, socket_);
    SSL_set_tlsext_host_name(ssl_, "localhost");
    if (SSL_connect(ssl_) != 1) {
      fail("the TLS handshake failed: " + std::string(ERR_reason_error_string(ERR_get_error())));
    }
  }
  ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
}

Connection::~Connection() {
  if (ssl_ != nullptr) {
    SSL_shutdown(ssl_);  // says goodbye; nobody waits for the answer
    SSL_free(ssl_);
  }
  ::close(socket_);
}

bool Connection::read() {
  for (bool more = true; more;) {
    const std::size_t before = input_.size();
    input_.resize(before + read_bytes);
    std::size_t got = 0;
    bool closed = false;
    if (ssl_ != nullptr) {
      if (SSL_read_ex(ssl_, input_.data() + before, read_bytes, &got) != 1) {
        closed = SSL_get_error(ssl_, 0) != SSL_ERROR_WANT_READ;
      }
      more = got > 0;  // records that OpenSSL has read ahead make no event
    } else {
      const ssize_t result = ::recv(socket_, input_.data() + before, read_bytes, 0);
      closed = result == 0 || (result < 0 && errno != EAGAIN);
      got = result > 0 ? static_cast<std::size_t>(result) : 0;
      more = got == read_bytes;
    }
    input_.resize(before + got);
    if (closed) {
      return false;
    }
  }
  return true;
}

bool Connection::flush() {
  std::size_t sent = 0;
  while (sent < output_.size()) {
    std::size_t count = 0;
    if (ssl_ != nullptr) {
      if (SSL_write_ex(ssl_, output_.data() + sent, output_.size() - sent, &count) != 1) {
        break;
      }
    } else {
      const ssize_t result =
          ::send(socket_, output_.data() + sent, output_.size() - sent, MSG_NOSIGNAL);
      if (result <= 0) {
        break;
      }
      count = static_cast<std::size_t>(result);
    }
    sent += count;
  }
  output_.erase(0, sent);
  return output_.empty();
}

}  // namespace skerry::load
