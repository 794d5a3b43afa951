// Streams over a socket pair: what a read and a write say, plain and behind TLS.
#include "transport/stream.hpp"

#include <doctest/doctest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "crypto/certificate.hpp"

namespace skerry::transport {

namespace {

struct Pair {
  Pair() {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    ours = ends[0];
    theirs = ends[1];
  }
  int ends[2] = {-1, -1};
  int ours = -1;
  int theirs = -1;
};

struct Identity {
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  crypto::Certificate certificate;

  explicit Identity(const std::string& name) {
    crypto::CertificateProfile profile;
    profile.common_name = name;
    profile.spki_der = key.spki_der();
    profile.not_before = read_clocks().wall - std::chrono::hours(1);
    profile.not_after = read_clocks().wall + std::chrono::hours(1);
    profile.client_authentication = true;
    profile.server_authentication = true;
    certificate = *crypto::issue_certificate(profile, {}, key);
  }
};

/// The client's half of a TLS stream, driven step by step on the same thread.
class TlsClient {
 public:
  TlsClient(int descriptor, const Identity* identity) : descriptor_(descriptor) {
    context_ = SSL_CTX_new(TLS_client_method());
    if (identity != nullptr) {
      SSL_CTX_use_certificate(context_, identity->certificate.native());
      SSL_CTX_use_PrivateKey(context_, identity->key.native());
    }
    ssl = SSL_new(context_);
    SSL_set_fd(ssl, descriptor);
    SSL_set_connect_state(ssl);
  }
  ~TlsClient() {
    SSL_free(ssl);
    SSL_CTX_free(context_);
    ::close(descriptor_);
  }

  SSL* ssl = nullptr;

 private:
  SSL_CTX* context_ = nullptr;
  int descriptor_;
};

std::shared_ptr<const TlsContext> server_context(const Identity& identity, ClientCertificate mode) {
  TlsOptions options;
  options.certificate_chain_pem = identity.certificate.pem();
  options.private_key_pem = identity.key.pem();
  options.client_certificate = mode;
  return TlsContext::make_server(options);
}

IoStatus shake_hands(Stream& stream, TlsClient& client) {
  for (int step = 0; step < 20; ++step) {
    SSL_do_handshake(client.ssl);
    const IoStatus status = stream.handshake().status;
    if (status != IoStatus::want_read && status != IoStatus::want_write) {
      return status;
    }
  }
  return IoStatus::want_read;
}

}  // namespace

TEST_CASE("a plain stream tells data, nothing now, and the end apart") {
  const Pair pair;
  const auto stream = make_plain_stream(pair.ours);
  std::array<std::uint8_t, 16> buffer{};
  CHECK(stream->handshake().status == IoStatus::ok);
  CHECK(stream->read(buffer).status == IoStatus::want_read);
  REQUIRE(::write(pair.theirs, "hello", 5) == 5);
  const IoResult result = stream->read(buffer);
  CHECK(result.status == IoStatus::ok);
  CHECK(as_text({buffer.data(), result.bytes}) == "hello");
  CHECK(!stream->has_pending());
  ::close(pair.theirs);
  CHECK(stream->read(buffer).status == IoStatus::closed);
}

TEST_CASE("a plain stream takes what the socket takes and then wants to be asked again") {
  const Pair pair;
  const auto stream = make_plain_stream(pair.ours);
  const std::string much(8 * 1024 * 1024, 'x');
  const IoResult first = stream->write(as_bytes(much));
  CHECK(first.status == IoStatus::ok);
  CHECK(first.bytes > 0);
  CHECK(first.bytes < much.size());
  CHECK(stream->write(as_bytes(much)).status == IoStatus::want_write);
  ::close(pair.theirs);
  CHECK(stream->write(as_bytes(much)).status == IoStatus::failed);
  CHECK(!stream->error().empty());
}

TEST_CASE("TLS carries bytes both ways and shows the peer's certificate") {
  const Identity server("server");
  const Identity device("device");
  const Pair pair;
  const auto stream =
      make_tls_stream(pair.ours, server_context(server, ClientCertificate::any_self_signed));
  TlsClient client(pair.theirs, &device);
  REQUIRE(shake_hands(*stream, client) == IoStatus::ok);
  const auto chain = stream->peer_certificates();
  REQUIRE(chain.size() == 1);
  CHECK(chain[0] == device.certificate.der());

  REQUIRE(SSL_write(client.ssl, "ping", 4) == 4);
  REQUIRE(SSL_write(client.ssl, "pong", 4) == 4);
  std::array<std::uint8_t, 64> buffer{};
  const IoResult result = stream->read(buffer);
  CHECK(result.status == IoStatus::ok);
  // Both records came by one read, because it reads ahead.
  CHECK(as_text({buffer.data(), result.bytes}) == "pingpong");
  CHECK(stream->read(buffer).status == IoStatus::want_read);
  CHECK(stream->write(as_bytes("answer")).bytes == 6);
  char answer[16] = {};
  CHECK(SSL_read(client.ssl, answer, sizeof answer) == 6);
  CHECK(std::string(answer) == "answer");
}

TEST_CASE("TLS goes on, key updates included, when the peer's certificates were given back") {
  const Identity server("server");
  const Identity device("device");
  TlsOptions options;
  options.certificate_chain_pem = server.certificate.pem();
  options.private_key_pem = server.key.pem();
  options.client_certificate = ClientCertificate::required;
  options.client_ca_pem = device.certificate.pem();
  options.session_resumption = true;
  for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
    const Pair pair;
    const auto stream = make_tls_stream(pair.ours, TlsContext::make_server(options));
    TlsClient client(pair.theirs, &device);
    SSL_set_max_proto_version(client.ssl, version);
    REQUIRE(shake_hands(*stream, client) == IoStatus::ok);
    CHECK(stream->peer_certificates().size() == 1);
    stream->forget_peer();
    std::array<std::uint8_t, 64> buffer{};
    for (int round = 0; round < 4; ++round) {
      REQUIRE(SSL_write(client.ssl, "ping", 4) == 4);
      const IoResult result = stream->read(buffer);
      CHECK(as_text({buffer.data(), result.bytes}) == "ping");
      CHECK(stream->write(as_bytes("pong")).bytes == 4);
      char answer[16] = {};
      CHECK(SSL_read(client.ssl, answer, sizeof answer) == 4);
      if (version == TLS1_3_VERSION) {
        CHECK(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
      }
    }
    stream->shutdown();
    char rest[16] = {};
    const int end = SSL_read(client.ssl, rest, sizeof rest);
    CHECK(SSL_get_error(client.ssl, end) == SSL_ERROR_ZERO_RETURN);
  }
}

TEST_CASE("what a small buffer leaves inside TLS is pending") {
  const Identity server("server");
  const Pair pair;
  const auto stream = make_tls_stream(pair.ours, server_context(server, ClientCertificate::none));
  TlsClient client(pair.theirs, nullptr);
  REQUIRE(shake_hands(*stream, client) == IoStatus::ok);
  REQUIRE(SSL_write(client.ssl, "0123456789", 10) == 10);
  std::array<std::uint8_t, 4> buffer{};
  std::string all;
  while (all.size() < 10) {
    const IoResult result = stream->read(buffer);
    REQUIRE(result.status == IoStatus::ok);
    all += as_text({buffer.data(), result.bytes});
    CHECK(stream->has_pending() == (all.size() < 10));
  }
  CHECK(all == "0123456789");
}

TEST_CASE("a TLS write that would block goes on from where it stopped, from another address") {
  const Identity server("server");
  const Pair pair;
  const auto stream = make_tls_stream(pair.ours, server_context(server, ClientCertificate::none));
  TlsClient client(pair.theirs, nullptr);
  REQUIRE(shake_hands(*stream, client) == IoStatus::ok);
  std::string expected;
  for (int i = 0; i < 400'000; ++i) {
    expected += std::to_string(i);
  }
  std::string rest = expected;
  std::string received;
  char buffer[16 * 1024];
  while (received.size() < expected.size()) {
    if (!rest.empty()) {
      rest = std::string(rest).substr(stream->write(as_bytes(rest)).bytes);
    }
    const int count = SSL_read(client.ssl, buffer, sizeof buffer);
    if (count > 0) {
      received.append(buffer, static_cast<std::size_t>(count));
    }
  }
  CHECK(received == expected);
}

TEST_CASE("bytes that are no TLS fail the handshake, and the stream stays failed") {
  const Identity server("server");
  const Pair pair;
  const auto stream = make_tls_stream(pair.ours, server_context(server, ClientCertificate::none));
  REQUIRE(::write(pair.theirs, "GET / HTTP/1.1\r\n\r\n", 18) == 18);
  CHECK(stream->handshake().status == IoStatus::failed);
  CHECK(!stream->error().empty());
  std::array<std::uint8_t, 4> buffer{};
  CHECK(stream->read(buffer).status == IoStatus::failed);
  stream->shutdown();
  ::close(pair.theirs);
}

TEST_CASE("an orderly end of TLS is told apart from one that was cut") {
  const Identity server("server");
  for (const bool orderly : {true, false}) {
    const Pair pair;
    const auto stream = make_tls_stream(pair.ours, server_context(server, ClientCertificate::none));
    TlsClient client(pair.theirs, nullptr);
    REQUIRE(shake_hands(*stream, client) == IoStatus::ok);
    if (orderly) {
      SSL_shutdown(client.ssl);
    } else {
      ::shutdown(pair.theirs, SHUT_WR);
    }
    std::array<std::uint8_t, 4> buffer{};
    CHECK(stream->read(buffer).status == (orderly ? IoStatus::closed : IoStatus::failed));
  }
}

}  // namespace skerry::transport
