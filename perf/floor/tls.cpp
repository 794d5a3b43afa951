// skerry-floor-tls: what a connection over mutual TLS holds in OpenSSL alone: server sides of
// handshakes over memory, each an SSL object and nothing else, with the buffers given back. Usage:
// skerry-floor-tls AUTHORITY CERTIFICATE KEY (PEM; both sides show the same). One JSON object.
#include <malloc.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <cstdio>
#include <vector>

namespace {

constexpr int connections = 2'000;

std::size_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

SSL_CTX* context(const SSL_METHOD* method, char** files) {
  SSL_CTX* made = SSL_CTX_new(method);
  const bool good = SSL_CTX_load_verify_locations(made, files[1], nullptr) == 1 &&
                    SSL_CTX_use_certificate_chain_file(made, files[2]) == 1 &&
                    SSL_CTX_use_PrivateKey_file(made, files[3], SSL_FILETYPE_PEM) == 1;
  if (!good) {
    std::fprintf(stderr, "skerry-floor-tls: the certificate cannot be read\n");
    std::exit(2);
  }
  SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION);
  SSL_CTX_set_verify(made, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
  return made;
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::fprintf(stderr, "usage: skerry-floor-tls AUTHORITY CERTIFICATE KEY\n");
    return 2;
  }
  SSL_CTX* server = context(TLS_server_method(), words);
  SSL_CTX* client = context(TLS_client_method(), words);
  std::vector<SSL*> kept(connections, nullptr);
  std::size_t before = 0;
  for (int i = -100; i < connections; ++i) {  // the first fill what is shared by all
    if (i == 0) {
      before = heap_bytes();
    }
    BIO* here = nullptr;
    BIO* there = nullptr;
    BIO_new_bio_pair(&here, 0, &there, 0);
    SSL* accepts = SSL_new(server);
    SSL* connects = SSL_new(client);
    SSL_set_bio(accepts, here, here);
    SSL_set_bio(connects, there, there);
    SSL_set_accept_state(accepts);
    SSL_set_connect_state(connects);
    for (int step = 0; step < 10; ++step) {
      SSL_do_handshake(connects);
      SSL_do_handshake(accepts);
    }
    char byte = 0;
    SSL_read(connects, &byte, 1);  // the tickets
    SSL_read(accepts, &byte, 1);
    if (SSL_is_init_finished(accepts) == 0) {
      std::fprintf(stderr, "skerry-floor-tls: a handshake did not end\n");
      return 1;
    }
    SSL_free(connects);
    SSL_set_bio(accepts, nullptr, nullptr);  // a socket's BIO is small, the pair's buffer is not
    (i < 0 ? kept[0] : kept[static_cast<std::size_t>(i)]) = accepts;
  }
  std::printf("{\"bytes_per_connection\": %.0f}\n",
              static_cast<double>(heap_bytes() - before) / connections);
  return 0;
}
