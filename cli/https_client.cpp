// One HTTPS request on a blocking socket. OpenSSL talks to the descriptor, Beast parses the answer.
#include "cli/https_client.hpp"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "cli/failure.hpp"

namespace skerry::cli {
namespace {

namespace http = boost::beast::http;

constexpr int timeout_seconds = 30;
constexpr std::size_t body_bytes_max = 256 * 1024 * 1024;

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

std::string reason_of_openssl() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason == nullptr ? "the connection ended" : reason;
}

Socket connect_to(const ServerAddress& server) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(server.host.c_str(), server.port.c_str(), &hints, &found);
  if (failed != 0) {
    throw Failure("cannot find " + server.host + ": " + gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses{found, &freeaddrinfo};
  int reason = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    Socket candidate{socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const timeval limit{timeout_seconds, 0};
    setsockopt(candidate.descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(candidate.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (candidate.descriptor >= 0 &&
        connect(candidate.descriptor, address->ai_addr, address->ai_addrlen) == 0) {
      return candidate;
    }
    reason = errno;
  }
  throw Failure("cannot connect to " + server.url() + ": " + std::strerror(reason));
}

/// Trusts the certificates of `ca_pem` and nothing else.
Context make_context(const std::string& ca_pem, const ClientIdentity& identity) {
  Context context{SSL_CTX_new(TLS_client_method())};
  if (!context) {
    throw Failure("OpenSSL cannot make a TLS context");
  }
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  BIO* bio = BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size()));
  int trusted = 0;
  while (X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    trusted += X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), certificate);
    X509_free(certificate);
  }
  BIO_free(bio);
  ERR_clear_error();
  if (trusted == 0) {
    throw Failure("the CA file holds no certificate in PEM form");
  }
  if (identity.certificate &&
      (SSL_CTX_use_certificate(context.get(), identity.certificate.native()) != 1 ||
       SSL_CTX_use_PrivateKey(context.get(), identity.key.native()) != 1)) {
    throw Failure("the device's key cannot be used for TLS: " + reason_of_openssl());
  }
  return context;
}

Ssl handshake(SSL_CTX* context, int descriptor, const ServerAddress& server) {
  Ssl ssl{SSL_new(context)};
  if (!ssl || SSL_set_fd(ssl.get(), descriptor) != 1) {
    throw Failure("OpenSSL cannot make a TLS session");
  }
  // An address is looked for among the certificate's addresses, a name among its names.
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), server.host.c_str()) != 1) {
    ERR_clear_error();
    SSL_set_tlsext_host_name(ssl.get(), server.host.c_str());
    SSL_set1_host(ssl.get(), server.host.c_str());
  }
  if (SSL_connect(ssl.get()) == 1) {
    return ssl;
  }
  const long verdict = SSL_get_verify_result(ssl.get());
  if (verdict != X509_V_OK) {
    throw Failure("the certificate of " + server.url() +
                  " is not trusted: " + X509_verify_cert_error_string(verdict) +
                  " (is --ca or --data-dir that of this server?)");
  }
  throw Failure("TLS with " + server.url() + " failed: " + reason_of_openssl());
}

std::string text_of(const ServerAddress& server, const HttpsRequest& request) {
  const std::string host =
      server.host.find(':') == std::string::npos ? server.host : "[" + server.host + "]";
  std::string text = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + host + ":" +
                     server.port + "\r\nConnection: close\r\nUser-Agent: skerryctl\r\n";
  for (const auto& [name, value] : request.headers) {
    if (value.find_first_of("\r\n") != std::string::npos) {
      throw Failure("a header value must not hold a line break", exit_usage);
    }
    text += name + ": " + value + "\r\n";
  }
  if (!request.body.empty()) {
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return text + "\r\n" + request.body;
}

HttpsResponse read_response(SSL* ssl, const ServerAddress& server) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(body_bytes_max);
  parser.eager(true);
  std::string pending;
  std::array<char, 16 * 1024> buffer{};
  while (!parser.is_done()) {
    const int count = SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()));
    boost::beast::error_code error;
    if (count <= 0) {
      if (parser.got_some()) {
        parser.put_eof(error);
      }
      if (parser.is_done() && !error) {
        break;
      }
      throw Failure(errno == EAGAIN ? server.url() + " did not answer in time"
                                    : server.url() + " closed the connection without an answer");
    }
    pending.append(buffer.data(), static_cast<std::size_t>(count));
    while (!pending.empty() && !parser.is_done()) {
      const std::size_t used = parser.put(boost::asio::buffer(pending), error);
      pending.erase(0, used);
      if (error == http::error::need_more) {
        break;
      }
      if (error) {
        throw Failure(server.url() + " answered what is no HTTP: " + error.message());
      }
    }
  }
  HttpsResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    std::string name{field.name_string()};
    for (char& c : name) {
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    response.headers.emplace(std::move(name), std::string{field.value()});
  }
  response.body = std::move(parser.get().body());
  return response;
}

}  // namespace

std::string ServerAddress::url() const {
  return "https://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

ServerAddress parse_server_url(const std::string& url, const std::string& default_port) {
  const auto refuse = [&]() -> Failure {
    return Failure("\"" + url + "\" is no server; write it like https://127.0.0.1:" + default_port,
                   exit_usage);
  };
  constexpr std::string_view scheme = "https://";
  if (!url.starts_with(scheme)) {
    throw refuse();
  }
  std::string_view rest = std::string_view{url}.substr(scheme.size());
  if (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  ServerAddress address;
  address.port = default_port;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) {
      throw refuse();
    }
    address.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
  } else {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    address.host = rest.substr(0, end);
    rest.remove_prefix(end);
  }
  if (rest.starts_with(':')) {
    address.port = rest.substr(1);
  } else if (!rest.empty()) {
    throw refuse();
  }
  const bool port_is_number = !address.port.empty() && address.port.size() <= 5 &&
                              address.port.find_first_not_of("0123456789") == std::string::npos;
  if (!port_is_number || address.host.empty() ||
      address.host.find_first_of("/?#@ \r\n") != std::string::npos) {
    throw refuse();
  }
  return address;
}

HttpsResponse send_https(const ServerAddress& server, const std::string& ca_pem,
                         const HttpsRequest& request, const ClientIdentity& identity) {
  const Context context = make_context(ca_pem, identity);
  const Socket socket = connect_to(server);
  const Ssl ssl = handshake(context.get(), socket.descriptor, server);
  const std::string text = text_of(server, request);
  if (SSL_write(ssl.get(), text.data(), static_cast<int>(text.size())) <= 0) {
    throw Failure("cannot send to " + server.url() + ": " + reason_of_openssl());
  }
  HttpsResponse response = read_response(ssl.get(), server);
  SSL_shutdown(ssl.get());
  return response;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += digits[byte >> 4];
    encoded += digits[byte & 15];
  }
  return encoded;
}

}  // namespace skerry::cli
