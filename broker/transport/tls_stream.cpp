// TlsStream: the server's side of TLS over a non-blocking socket. OpenSSL reads and writes the
// descriptor itself (SSL_set_fd), so there is no second buffer, and because RELEASE_BUFFERS is set
// an idle connection keeps none at all. Reading ahead takes many small records by one recv; what is
// then left inside is told by has_pending().
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/assert.hpp"
#include "transport/stream.hpp"

namespace skerry::transport {

namespace {

// The largest record of TLS: a gathered write goes out in pieces of this size.
constexpr std::size_t record_bytes_max = 16 * 1024;

class TlsStream final : public Stream {
 public:
  TlsStream(int descriptor, std::shared_ptr<const TlsContext> context)
      : context_(std::move(context)), descriptor_(descriptor) {}
  ~TlsStream() override {
    SSL_free(ssl_);
    ::close(descriptor_);
  }
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  IoResult handshake() override {
    if (failed_) {
      return {IoStatus::failed, 0};
    }
    if (ssl_ == nullptr) {
      begin();
    }
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    return result == 1 ? IoResult{} : failure(result);
  }

  IoResult read(std::span<std::uint8_t> buffer) override {
    if (failed_ || ssl_ == nullptr) {
      return {IoStatus::failed, 0};
    }
    std::size_t total = 0;
    do {
      ERR_clear_error();
      std::size_t count = 0;
      const int result = SSL_read_ex(ssl_, buffer.data() + total, buffer.size() - total, &count);
      if (result != 1) {
        const IoResult why = failure(result);
        return total > 0 ? IoResult{IoStatus::ok, total} : why;
      }
      total += count;
    } while (total < buffer.size() && SSL_has_pending(ssl_) == 1);
    return {IoStatus::ok, total};
  }

  IoResult write(Bytes bytes) override {
    if (failed_ || ssl_ == nullptr) {
      return {IoStatus::failed, 0};
    }
    std::size_t total = 0;
    while (total < bytes.size()) {
      ERR_clear_error();
      std::size_t count = 0;
      const std::size_t wanted = std::min(bytes.size() - total, record_bytes_max);
      const int result = SSL_write_ex(ssl_, bytes.data() + total, wanted, &count);
      if (result != 1) {
        const IoResult why = failure(result);
        return total > 0 ? IoResult{IoStatus::ok, total} : why;
      }
      total += count;
    }
    return {IoStatus::ok, total};
  }

  bool has_pending() const noexcept override {
    return !failed_ && ssl_ != nullptr && SSL_has_pending(ssl_) == 1;
  }

  void shutdown() noexcept override {
    // After a fatal error the library forbids a close_notify; before the end of the handshake there
    // is nothing to close.
    if (!failed_ && ssl_ != nullptr && SSL_is_init_finished(ssl_) == 1) {
      ERR_clear_error();
      SSL_shutdown(ssl_);
    }
    ::shutdown(descriptor_, SHUT_WR);
  }

  std::vector<std::string> peer_certificates() const override {
    return ssl_ == nullptr ? std::vector<std::string>{} : peer_certificate_chain(ssl_);
  }

  void forget_peer() noexcept override {
    // The library keeps the parsed certificate as long as the connection lives. Its names and
    // extensions go; replacing the key as well would cost more time than it is worth.
    X509* const certificate = ssl_ == nullptr ? nullptr : SSL_get0_peer_certificate(ssl_);
    if (certificate == nullptr) {
      return;
    }
    while (X509_get_ext_count(certificate) > 0) {
      X509_EXTENSION_free(X509_delete_ext(certificate, 0));
    }
    if (X509_NAME* const empty = X509_NAME_new(); empty != nullptr) {
      X509_set_subject_name(certificate, empty);
      X509_set_issuer_name(certificate, empty);
      X509_NAME_free(empty);
    }
  }

  std::string error() const override {
    const long verified = ssl_ == nullptr ? X509_V_OK : SSL_get_verify_result(ssl_);
    if (verified != X509_V_OK) {
      return std::string("client certificate: ") + X509_verify_cert_error_string(verified);
    }
    if (tls_error_ != 0) {
      const char* const reason = ERR_reason_error_string(tls_error_);
      return std::string("TLS: ") + (reason == nullptr ? "unknown error" : reason);
    }
    return system_error_ == 0 ? std::string{} : std::generic_category().message(system_error_);
  }

  int descriptor() const noexcept override { return descriptor_; }

 private:
  // Not before somebody wants the handshake: who waits for it, or never speaks, costs a socket
  // only.
  void begin() {
    ssl_ = SSL_new(context_->native());
    SKERRY_ASSERT(ssl_ != nullptr && SSL_set_fd(ssl_, descriptor_) == 1);
    SSL_set_accept_state(ssl_);
    SSL_set_read_ahead(ssl_, 1);
  }

  IoResult failure(int result) noexcept {
    const int system_error = errno;
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
        return {IoStatus::want_read, 0};
      case SSL_ERROR_WANT_WRITE:
        return {IoStatus::want_write, 0};
      case SSL_ERROR_ZERO_RETURN:
        return {IoStatus::closed, 0};
      case SSL_ERROR_SYSCALL:
        system_error_ = system_error;
        break;
      default:
        break;
    }
    tls_error_ = ERR_peek_error();
    failed_ = true;
    ERR_clear_error();
    return {IoStatus::failed, 0};
  }

  std::shared_ptr<const TlsContext> context_;
  SSL* ssl_ = nullptr;  // null until the handshake begins
  unsigned long tls_error_ = 0;
  int descriptor_;
  int system_error_ = 0;
  bool failed_ = false;
};

}  // namespace

std::unique_ptr<Stream> make_tls_stream(int descriptor, std::shared_ptr<const TlsContext> context) {
  return std::make_unique<TlsStream>(descriptor, std::move(context));
}

}  // namespace skerry::transport
