// A TCP connection with TLS over it.
#include "cli/tls_socket.hpp"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

#include "cli/failure.hpp"

namespace skerry::cli {
namespace {

constexpr int connect_timeout_seconds = 30;

}  // namespace

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
    throw Failure("cannot find " + server.host + ": " + gai_strerror(failed), exit_unreachable);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses{found, &freeaddrinfo};
  int reason = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    Socket candidate{socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const timeval limit{connect_timeout_seconds, 0};
    setsockopt(candidate.descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(candidate.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (candidate.descriptor >= 0 &&
        connect(candidate.descriptor, address->ai_addr, address->ai_addrlen) == 0) {
      return candidate;
    }
    reason = errno;
  }
  throw Failure("cannot connect to " + server.url() + ": " + std::strerror(reason),
                exit_unreachable);
}

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
                      " (is --ca or --data-dir that of this server?)",
                  exit_unreachable);
  }
  throw Failure("TLS with " + server.url() + " failed: " + reason_of_openssl(), exit_unreachable);
}

}  // namespace skerry::cli
