#include "endpoint.hpp"

#include <netdb.h>
#include <openssl/err.h>

#include <cstring>

#include "failure.hpp"

namespace skerry::bench {

Endpoint parse_endpoint(std::string_view url) {
  Endpoint endpoint;
  const std::string whole(url);
  if (url.starts_with("mqtts://")) {
    endpoint.is_tls = true;
    url.remove_prefix(8);
  } else if (url.starts_with("mqtt://")) {
    url.remove_prefix(7);
  } else {
    throw Failure("`" + whole + "` is no URL of a broker: write mqtt://host:port or mqtts://…");
  }
  std::string port = endpoint.is_tls ? "8883" : "1883";
  if (const std::size_t colon = url.rfind(':'); colon != std::string_view::npos) {
    port = url.substr(colon + 1);
    url = url.substr(0, colon);
  }
  endpoint.host = url;
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found);
      code != 0) {
    throw Failure("`" + whole + "`: " + ::gai_strerror(code));
  }
  std::memcpy(&endpoint.address, found->ai_addr, sizeof endpoint.address);
  ::freeaddrinfo(found);
  return endpoint;
}

std::string tls_error() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "the peer closed the connection" : reason;
}

TlsContext make_tls(const TlsFiles& files) {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(context.get(), files.verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  bool good = files.ca.empty()
                  ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                  : SSL_CTX_load_verify_locations(context.get(), files.ca.c_str(), nullptr) == 1;
  if (!files.certificate.empty()) {
    good =
        good && SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) == 1 &&
        SSL_CTX_use_PrivateKey_file(context.get(), files.private_key.c_str(), SSL_FILETYPE_PEM) ==
            1;
  }
  if (!good) {
    throw Failure("a file for TLS cannot be used: " + tls_error());
  }
  return context;
}

void use_own_certificate(SSL* ssl, const TlsFiles& files, std::string_view client_id) {
  if (files.directory.empty()) {
    return;
  }
  const std::string base = files.directory + "/" + std::string(client_id);
  if (SSL_use_certificate_chain_file(ssl, (base + ".crt").c_str()) != 1 ||
      SSL_use_PrivateKey_file(ssl, (base + ".key").c_str(), SSL_FILETYPE_PEM) != 1) {
    throw Failure(base + ".crt and .key cannot be used: " + tls_error());
  }
}

}  // namespace skerry::bench
