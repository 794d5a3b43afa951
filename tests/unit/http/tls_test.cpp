// The server with TLS: who is let in and what handlers see of the client's certificate.
#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>

#include "crypto/certificate.hpp"
#include "crypto/key.hpp"
#include "unit/http/test_server.hpp"

using namespace skerry;
using namespace skerry::http;

namespace {

struct Pair {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};

/// Signed by `issuer`, or by itself when there is none.
Pair make_pair(const Pair* issuer, bool authority) {
  Pair pair;
  pair.key = *crypto::PrivateKey::generate();
  crypto::CertificateProfile profile;
  profile.common_name = "test";
  profile.spki_der = pair.key.spki_der();
  const WallTime now = read_clocks().wall;
  profile.not_before = now - std::chrono::hours{1};
  profile.not_after = now + std::chrono::hours{1};
  profile.is_authority = authority;
  profile.client_authentication = !authority;
  profile.server_authentication = !authority;
  profile.dns_names = {"localhost"};
  const auto made = crypto::issue_certificate(
      profile, issuer == nullptr ? crypto::Certificate{} : issuer->certificate,
      issuer == nullptr ? pair.key : issuer->key);
  REQUIRE(made.has_value());
  pair.certificate = *made;
  return pair;
}

boost::asio::awaitable<Response> show_certificate(const Request& request) {
  Response response;
  response.content_type = "application/octet-stream";
  response.body = request.client_certificate;
  co_return response;
}

ServerOptions with_tls(const transport::TlsOptions& tls) {
  ServerOptions options;
  const auto context = transport::TlsContext::make_server(tls);
  options.tls = [context] { return context; };
  options.header_timeout = std::chrono::seconds{2};
  return options;
}

EndpointTable endpoints() {
  return {{"GET", "/certificate", Guard::none, 0, &show_certificate}};
}

/// A client that keeps its session between calls. The answer; empty when the server refused.
class Client {
 public:
  explicit Client(const Pair* identity) : context_(SSL_CTX_new(TLS_client_method())) {
    if (identity != nullptr) {
      SSL_CTX_use_certificate(context_, identity->certificate.native());
      SSL_CTX_use_PrivateKey(context_, identity->key.native());
    }
  }
  ~Client() {
    SSL_SESSION_free(session_);
    SSL_CTX_free(context_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::string get(std::uint16_t port) {
    boost::asio::io_context io;
    boost::asio::ip::tcp::socket socket{io};
    socket.connect({boost::asio::ip::address_v4::loopback(), port});
    SSL* ssl = SSL_new(context_);
    SSL_set_fd(ssl, socket.native_handle());
    if (session_ != nullptr) {
      SSL_set_session(ssl, session_);
    }
    std::string answer;
    if (SSL_connect(ssl) == 1) {
      const STACK_OF(X509_NAME)* names = SSL_get0_peer_CA_list(ssl);
      ca_names = names == nullptr ? 0 : sk_X509_NAME_num(names);
      resumed = SSL_session_reused(ssl) == 1;
      const std::string text = request("GET /certificate");
      SSL_write(ssl, text.data(), static_cast<int>(text.size()));
      char buffer[4096];
      for (int size = 0; (size = SSL_read(ssl, buffer, sizeof buffer)) > 0;) {
        answer.append(buffer, static_cast<std::size_t>(size));
      }
      SSL_SESSION_free(session_);
      session_ = SSL_get1_session(ssl);
      SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    return answer;
  }

  int ca_names = 0;
  bool resumed = false;

 private:
  SSL_CTX* context_;
  SSL_SESSION* session_ = nullptr;
};

std::string body_of(const std::string& answer) {
  const std::size_t at = answer.find("\r\n\r\n");
  return at == std::string::npos ? std::string{} : answer.substr(at + 4);
}

}  // namespace

TEST_CASE("a self-signed client certificate reaches the handler where any is accepted") {
  const Pair server_pair = make_pair(nullptr, false);
  transport::TlsOptions tls;
  tls.certificate_chain_pem = server_pair.certificate.pem();
  tls.private_key_pem = server_pair.key.pem();
  tls.client_certificate = transport::ClientCertificate::any_self_signed;
  const TestServer server{with_tls(tls), endpoints()};
  const Pair device = make_pair(nullptr, false);
  Client client{&device};
  const std::string answer = client.get(server.port());
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("Strict-Transport-Security: ") != std::string::npos);
  CHECK(body_of(answer) == device.certificate.der());
  CHECK(client.ca_names == 0);
  CHECK_FALSE(client.resumed);
  client.get(server.port());
  CHECK_FALSE(client.resumed);
  Client stranger{nullptr};
  const std::string bare = stranger.get(server.port());
  CHECK(bare.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(body_of(bare).empty());
}

TEST_CASE(
    "where a device CA is required, its children come in without the root and others do not") {
  const Pair root = make_pair(nullptr, true);
  const Pair device_ca = make_pair(&root, true);
  const Pair server_pair = make_pair(nullptr, false);
  transport::TlsOptions tls;
  tls.certificate_chain_pem = server_pair.certificate.pem();
  tls.private_key_pem = server_pair.key.pem();
  tls.client_ca_pem = device_ca.certificate.pem();
  tls.client_certificate = transport::ClientCertificate::required;
  tls.session_resumption = true;
  const TestServer server{with_tls(tls), endpoints()};
  const Pair device = make_pair(&device_ca, false);
  Client good{&device};
  CHECK(body_of(good.get(server.port())) == device.certificate.der());
  CHECK(good.ca_names == 1);
  CHECK(body_of(good.get(server.port())) == device.certificate.der());
  CHECK(good.resumed);
  const Pair child_of_root = make_pair(&root, false);
  Client wrong{&child_of_root};
  CHECK(wrong.get(server.port()).empty());
  Client none{nullptr};
  CHECK(none.get(server.port()).empty());
}

TEST_CASE("a client that does not speak TLS is cut off and the next one served") {
  const Pair server_pair = make_pair(nullptr, false);
  transport::TlsOptions tls;
  tls.certificate_chain_pem = server_pair.certificate.pem();
  tls.private_key_pem = server_pair.key.pem();
  const TestServer server{with_tls(tls), endpoints()};
  const std::string answer = server.exchange("GET /certificate HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(answer.find("HTTP") == std::string::npos);
  server.exchange("");
  Client client{nullptr};
  CHECK(client.get(server.port()).starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("what is wrong with a PEM text is said in one sentence") {
  const Pair good = make_pair(nullptr, false);
  const Pair other = make_pair(nullptr, false);
  transport::TlsOptions tls;
  const auto why = [&]() -> std::string {
    try {
      transport::TlsContext::make_server(tls);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return {};
  };
  CHECK(why() == "the server's certificate chain holds no certificate in PEM form");
  tls.certificate_chain_pem = good.certificate.pem();
  CHECK(why().starts_with("the server's private key cannot be read as PEM"));
  tls.private_key_pem = other.key.pem();
  CHECK(why().starts_with("the server's private key does not belong to its certificate"));
  tls.private_key_pem = good.key.pem();
  CHECK(why().empty());
  tls.client_certificate = transport::ClientCertificate::required;
  CHECK(why() == "client certificates are to be verified but no client CA is given");
  tls.client_ca_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  CHECK(why().starts_with("the client CA file holds a certificate that cannot be read"));
}
