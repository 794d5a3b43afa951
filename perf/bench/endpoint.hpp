// Where the broker is and how it wants to be spoken to.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

namespace skerry::bench {

struct Endpoint {
  sockaddr_in address{};
  std::string host;  ///< for server name indication
  bool is_tls = false;
};

/// `mqtt://host:port` or `mqtts://host:port`; the port may be left out (1883, 8883). Looks the name
/// up, which may block. Throws Failure with a sentence.
Endpoint parse_endpoint(std::string_view url);

struct TlsFiles {
  std::string ca;           ///< PEM; empty: the system's
  std::string certificate;  ///< PEM chain, of every client
  std::string private_key;
  std::string directory;  ///< NAME.crt and NAME.key of each client, NAME being its client id
  bool verifies = true;
};

struct FreeContext {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeContext>;

/// Throws Failure when a file cannot be used.
TlsContext make_tls(const TlsFiles& files);

/// Gives one connection the certificate of its own from `files.directory`, if there is one.
void use_own_certificate(SSL* ssl, const TlsFiles& files, std::string_view client_id);

/// The newest error of OpenSSL in words.
std::string tls_error();

}  // namespace skerry::bench
