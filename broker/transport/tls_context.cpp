// Builds the server's SSL_CTX once, from PEM texts, and says in one sentence what is wrong with
// them. It reads no files and knows nothing of sockets.
#include "transport/tls_context.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <stdexcept>

namespace skerry::transport {
namespace {

/// A device's chain has a leaf and an intermediate or two; anything larger is an attack on memory.
constexpr long peer_chain_bytes_max = 32 * 1024;
constexpr int chain_depth_max = 4;

template <auto Function>
struct Free {
  template <typename T>
  void operator()(T* object) const noexcept {
    Function(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Free<&BIO_free_all>>;
using CertificatePtr = std::unique_ptr<X509, Free<&X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<&EVP_PKEY_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Free<&SSL_CTX_free>>;

/// Throws with `sentence` and, in brackets, what OpenSSL says about it.
[[noreturn]] void fail(std::string sentence) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  if (reason != nullptr) {
    sentence += std::string{" ("} + reason + ")";
  }
  ERR_clear_error();
  throw std::runtime_error(sentence);
}

BioPtr open_pem(const std::string& pem) {
  BioPtr bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  if (!bio) {
    fail("out of memory while reading a PEM text");
  }
  return bio;
}

/// All certificates of a PEM text, in their order.
std::vector<CertificatePtr> read_certificates(const std::string& pem, const std::string& what) {
  std::vector<CertificatePtr> found;
  const BioPtr bio = open_pem(pem);
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(certificate);
  }
  const unsigned long code = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  if (!at_end && code != 0) {
    fail(what + " holds a certificate that cannot be read");
  }
  ERR_clear_error();
  if (found.empty()) {
    throw std::runtime_error(what + " holds no certificate in PEM form");
  }
  return found;
}

/// Refuses to ask at the terminal for a pass phrase.
int no_pass_phrase(char*, int, int, void*) {
  return -1;
}

KeyPtr read_private_key(const std::string& pem) {
  const BioPtr bio = open_pem(pem);
  ERR_clear_error();
  KeyPtr key{PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_pass_phrase, nullptr)};
  if (!key) {
    if (pem.find("ENCRYPTED") != std::string::npos) {
      ERR_clear_error();
      throw std::runtime_error(
          "the server's private key is encrypted; an unencrypted one is needed");
    }
    fail("the server's private key cannot be read as PEM");
  }
  return key;
}

void use_own_certificate(SSL_CTX* context, const TlsOptions& options) {
  const auto chain =
      read_certificates(options.certificate_chain_pem, "the server's certificate chain");
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) {
    fail("the server's certificate cannot be used");
  }
  for (std::size_t index = 1; index < chain.size(); ++index) {
    if (SSL_CTX_add1_chain_cert(context, chain[index].get()) != 1) {
      fail("a CA certificate in the server's chain cannot be used");
    }
  }
  const KeyPtr key = read_private_key(options.private_key_pem);
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    fail("the server's private key does not belong to its certificate");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    fail("the server's private key cannot be used");
  }
}

/// Verifies as usual and lets go of the chain that was built: OpenSSL would keep it, parsed, as
/// long as the connection lives, and nobody asks for it.
int verify_without_keeping(X509_STORE_CTX* store, void*) {
  const int verified = X509_verify_cert(store);
  if (verified > 0) {
    X509_STORE_CTX_set0_verified_chain(store, nullptr);
  }
  return verified;
}

void trust_client_ca(SSL_CTX* context, const TlsOptions& options) {
  if (options.client_ca_pem.empty()) {
    throw std::runtime_error("client certificates are to be verified but no client CA is given");
  }
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const CertificatePtr& certificate :
       read_certificates(options.client_ca_pem, "the client CA file")) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1 ||
        SSL_CTX_add_client_CA(context, certificate.get()) != 1) {
      fail("a certificate of the client CA file cannot be used");
    }
  }
  SSL_CTX_set_cert_verify_callback(context, &verify_without_keeping, nullptr);
  // What the file names is trusted as it stands: the device CA without its root, so that no other
  // CA under the same root can make devices.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
}

/// Stands in for chain building where anybody may present a certificate of their own making. The
/// handshake still proves that the client holds the key (CertificateVerify).
int accept_any_certificate(X509_STORE_CTX* store, void*) {
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

void ask_for_client_certificate(SSL_CTX* context, const TlsOptions& options) {
  SSL_CTX_set_verify_depth(context, chain_depth_max);
  SSL_CTX_set_max_cert_list(context, peer_chain_bytes_max);
  switch (options.client_certificate) {
    case ClientCertificate::none:
      SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
      return;
    case ClientCertificate::optional:
      trust_client_ca(context, options);
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
      return;
    case ClientCertificate::required:
      trust_client_ca(context, options);
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
      return;
    case ClientCertificate::any_self_signed:
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
      SSL_CTX_set_cert_verify_callback(context, &accept_any_certificate, nullptr);
      return;
  }
}

void set_resumption(SSL_CTX* context, bool resumption) {
  // Tickets live with the client; the server's own cache would cost memory per device either way.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (resumption) {
    SSL_CTX_set_num_tickets(context, 1);
  } else {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  }
  // Without it a resumed handshake with a client certificate is refused.
  static constexpr std::string_view id = "skerry";
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(id.data()),
                                 static_cast<unsigned>(id.size()));
}

/// Answers a client that offers a protocol we speak; one that offers others, or none, goes on
/// without ALPN.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void*) {
  static constexpr std::array<std::string_view, 2> spoken{"mqtt", "http/1.1"};
  for (unsigned at = 0; at < in_size;) {
    const unsigned size = in[at];
    if (size > in_size - at - 1) {
      return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    const std::string_view name{reinterpret_cast<const char*>(in + at + 1), size};
    for (const std::string_view candidate : spoken) {
      if (name == candidate) {
        *out = in + at + 1;
        *out_size = static_cast<unsigned char>(size);
        return SSL_TLSEXT_ERR_OK;
      }
    }
    at += 1 + size;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

void set_protocol(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // A stalled or moved write is retried with another buffer; idle connections keep no buffers.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // TLS 1.2 only with forward secrecy and authenticated encryption; CCM for small devices.
  if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:!aNULL") != 1) {
    fail("this OpenSSL knows none of the cipher suites that Skerry offers");
  }
  // Of the suites of TLS 1.3 the one that costs least first: 128 bits are as good as a device's
  // key.
  if (SSL_CTX_set_ciphersuites(context,
                               "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                               "TLS_CHACHA20_POLY1305_SHA256") != 1) {
    fail("this OpenSSL knows none of the cipher suites of TLS 1.3");
  }
  SSL_CTX_set_alpn_select_cb(context, &select_protocol, nullptr);
}

/// DER of a certificate; empty when it cannot be encoded, which a parsed one always can.
std::string to_der(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) {
    return {};
  }
  std::string bytes{reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)};
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

std::shared_ptr<const TlsContext> TlsContext::make_server(const TlsOptions& options) {
  ContextPtr context{SSL_CTX_new(TLS_server_method())};
  if (!context) {
    fail("OpenSSL cannot make a TLS context");
  }
  set_protocol(context.get());
  use_own_certificate(context.get(), options);
  ask_for_client_certificate(context.get(), options);
  set_resumption(context.get(), options.session_resumption);
  return std::make_shared<const TlsContext>(context.release());
}

std::vector<std::string> peer_certificate_chain(const ssl_st* ssl) {
  std::vector<std::string> chain;
  // The session keeps the leaf across resumption; the CA certificates above it are only known after
  // a full handshake, where a server's list does not contain the leaf.
  const CertificatePtr leaf{SSL_get1_peer_certificate(ssl)};
  if (!leaf) {
    return chain;
  }
  chain.push_back(to_der(leaf.get()));
  const STACK_OF(X509)* others = SSL_get_peer_cert_chain(ssl);
  for (int index = 0; others != nullptr && index < sk_X509_num(others); ++index) {
    chain.push_back(to_der(sk_X509_value(others, index)));
  }
  return chain;
}

}  // namespace skerry::transport
