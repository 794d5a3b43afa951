// TLS settings as a replaceable object: a listener asks its source for the current context on each
// new connection, so certificates are swapped without closing anything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

namespace skerry::transport {

/// What a TLS server asks of its clients' certificates.
enum class ClientCertificate : std::uint8_t {
  none,
  optional,         ///< asked for; verified against client_ca when shown
  required,         ///< no handshake without a valid one
  any_self_signed,  ///< asked for with an empty CA list; any certificate passes, what counts is the
                    ///< proven key (enrolment port only)
};

struct TlsOptions {
  std::string certificate_chain_pem;
  std::string private_key_pem;
  std::string client_ca_pem;  ///< trusted as they stand, no root needed (partial chain)
  ClientCertificate client_certificate = ClientCertificate::none;
  bool session_resumption = false;  ///< tickets; off on the enrolment port
};

/// Owns one SSL_CTX. Immutable once made; shared by all cores.
class TlsContext {
 public:
  /// Builds a server context (TLS 1.2 and 1.3, RELEASE_BUFFERS, PARTIAL_WRITE, MOVING_WRITE_BUFFER,
  /// a session id context). Throws std::runtime_error with one clear sentence that names what is
  /// wrong with which PEM.
  static std::shared_ptr<const TlsContext> make_server(const TlsOptions& options);

  explicit TlsContext(ssl_ctx_st* owned) : context_(owned) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* native() const noexcept { return context_; }

 private:
  ssl_ctx_st* context_;
};

/// Gives the context for the next connection. Any thread, cheap, never null when set.
using TlsContextSource = std::function<std::shared_ptr<const TlsContext>()>;

/// DER of the peer's chain, leaf first (empty without a client certificate), from a finished
/// handshake, resumed ones too.
std::vector<std::string> peer_certificate_chain(const ssl_st* ssl);

}  // namespace skerry::transport
