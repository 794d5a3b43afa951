// Plain and TLS streams on asio coroutines. All template code of sockets and TLS is compiled here.
#include "http/byte_stream.hpp"

#include <openssl/ssl.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace skerry::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// What asio calls the lowest layer of a TCP socket and of a TLS stream over one.
using Lowest = tcp::socket::lowest_layer_type;

/// What a closing connection may still send before it is cut.
constexpr std::size_t drain_bytes_max = 1024 * 1024;

auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

std::string address_of(const Lowest& socket) {
  error_code error;
  asio::ip::address address = socket.remote_endpoint(error).address();
  if (!error && address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  return error ? std::string{} : address.to_string();
}

/// Deadline, address and closing, which both kinds share. `Layer` is what bytes go through.
template <typename Layer>
class StreamBase : public ByteStream, public std::enable_shared_from_this<StreamBase<Layer>> {
 public:
  explicit StreamBase(Layer layer)
      : layer_(std::move(layer)),
        deadline_(layer_.get_executor()),
        peer_address_(address_of(layer_.lowest_layer())) {}

  asio::awaitable<std::size_t> read_some(std::span<char> into_span) override {
    error_code error;
    const std::size_t count = co_await layer_.async_read_some(
        asio::buffer(into_span.data(), into_span.size()), into(error));
    co_return error ? 0 : count;
  }

  asio::awaitable<error_code> write(std::string_view head, std::string_view body) override {
    const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(body)};
    error_code error;
    co_await asio::async_write(layer_, buffers, into(error));
    co_return error;
  }

  void set_deadline(std::chrono::steady_clock::duration time) override {
    deadline_.expires_after(time);
    // Weak: an expired timer's handler may already be queued when the stream goes.
    deadline_.async_wait([self = this->weak_from_this()](error_code error) {
      if (const auto stream = self.lock(); stream && !error) {
        stream->close_if_late();
      }
    });
  }

  void clear_deadline() override { deadline_.expires_at(asio::steady_timer::time_point::max()); }

  void close() override {
    error_code ignored;
    layer_.lowest_layer().close(ignored);
  }

  void abort() override {
    error_code ignored;
    tcp_socket().set_option(asio::socket_base::linger(true, 0), ignored);
    close();
  }

  const std::string& peer_address() const noexcept override { return peer_address_; }

 protected:
  /// The handler of an old deadline may run after a new one was set.
  void close_if_late() {
    if (deadline_.expiry() <= std::chrono::steady_clock::now()) {
      close();
    }
  }

  tcp::socket& tcp_socket() {
    if constexpr (std::is_same_v<Layer, tcp::socket>) {
      return layer_;
    } else {
      return layer_.next_layer();
    }
  }

  asio::awaitable<void> drain() {
    tcp::socket& socket = tcp_socket();
    error_code error;
    socket.shutdown(tcp::socket::shutdown_send, error);
    std::array<char, 4096> scratch{};
    for (std::size_t total = 0; !error && total < drain_bytes_max;) {
      const std::size_t count = co_await socket.async_read_some(asio::buffer(scratch), into(error));
      total += count;
    }
  }

  Layer layer_;

 private:
  asio::steady_timer deadline_;
  std::string peer_address_;
};

class PlainStream : public StreamBase<tcp::socket> {
 public:
  using StreamBase::StreamBase;

  asio::awaitable<error_code> handshake() override { co_return error_code{}; }
  asio::awaitable<void> finish() override { co_await drain(); }
  bool is_tls() const noexcept override { return false; }
  std::string client_certificate() const override { return {}; }
};

using TlsLayer = asio::ssl::stream<tcp::socket>;

class TlsStream : public StreamBase<TlsLayer> {
 public:
  TlsStream(tcp::socket socket, SSL* owned, std::shared_ptr<const transport::TlsContext> context)
      : StreamBase(TlsLayer{std::move(socket), owned}), context_(std::move(context)) {}

  asio::awaitable<error_code> handshake() override {
    error_code error;
    co_await layer_.async_handshake(TlsLayer::server, into(error));
    co_return error;
  }

  asio::awaitable<void> finish() override {
    error_code ignored;
    co_await layer_.async_shutdown(into(ignored));
    co_await drain();
  }

  bool is_tls() const noexcept override { return true; }

  std::string client_certificate() const override {
    // native_handle() is not const in asio; nothing is changed.
    SSL* ssl = const_cast<TlsLayer&>(layer_).native_handle();
    std::vector<std::string> chain = transport::peer_certificate_chain(ssl);
    return chain.empty() ? std::string{} : std::move(chain.front());
  }

 private:
  std::shared_ptr<const transport::TlsContext> context_;
};

}  // namespace

std::shared_ptr<ByteStream> make_plain_stream(tcp::socket socket) {
  return std::make_shared<PlainStream>(std::move(socket));
}

std::shared_ptr<ByteStream> make_tls_stream(tcp::socket socket,
                                            std::shared_ptr<const transport::TlsContext> context) {
  SSL* ssl = SSL_new(context->native());
  if (ssl == nullptr) {
    return nullptr;
  }
  return std::make_shared<TlsStream>(std::move(socket), ssl, std::move(context));
}

}  // namespace skerry::http
