// A TCP connection with TLS over it, for the HTTPS client alone: connecting, trust, handshake.
#pragma once

#include <openssl/ssl.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "cli/https_client.hpp"

namespace skerry::cli {

struct ContextFree {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using Context = std::unique_ptr<SSL_CTX, ContextFree>;
using Ssl = std::unique_ptr<SSL, SslFree>;

struct Socket {
  explicit Socket(int opened) : descriptor(opened) {}
  ~Socket() {
    if (descriptor >= 0) {
      close(descriptor);
    }
  }
  Socket(Socket&& other) noexcept : descriptor(std::exchange(other.descriptor, -1)) {}
  Socket& operator=(Socket&&) = delete;
  int descriptor;
};

/// Why OpenSSL did not do what it was asked for.
std::string reason_of_openssl();
/// Throws Failure; reads and writes of the socket block for 30 s at most.
Socket connect_to(const ServerAddress& server);
/// Trusts the certificates of `ca_pem` and nothing else.
Context make_context(const std::string& ca_pem, const ClientIdentity& identity);
/// The descriptor stays the caller's.
Ssl handshake(SSL_CTX* context, int descriptor, const ServerAddress& server);

}  // namespace skerry::cli
