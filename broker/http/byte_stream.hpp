// One accepted connection as a stream of bytes, plain or TLS, behind one small interface: so the
// HTTP code is compiled once and not per kind of stream. It belongs to the admin loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "transport/tls_context.hpp"

namespace skerry::http {

class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// TLS: the handshake. Plain: nothing.
  virtual boost::asio::awaitable<boost::system::error_code> handshake() = 0;
  /// Some bytes, at least one; 0 at the end of the stream, after an error and after the deadline.
  virtual boost::asio::awaitable<std::size_t> read_some(std::span<char> into) = 0;
  /// Both texts one behind the other; they must live until it has resumed.
  virtual boost::asio::awaitable<boost::system::error_code> write(std::string_view head,
                                                                  std::string_view body) = 0;
  /// Says goodbye and swallows what the peer is still sending, so that a reset does not overtake
  /// the last answer. Ends at the deadline at the latest.
  virtual boost::asio::awaitable<void> finish() = 0;

  /// Closes the stream when it is not set anew within `time`. Running operations then fail.
  virtual void set_deadline(std::chrono::steady_clock::duration time) = 0;
  virtual void clear_deadline() = 0;
  virtual void close() = 0;
  /// Closes so that the peer sees an error, not an end: for a body that only the close would end.
  virtual void abort() = 0;

  virtual bool is_tls() const noexcept = 0;
  /// DER of the leaf that the client has proven; empty without one.
  virtual std::string client_certificate() const = 0;
  /// "192.0.2.7", without the port.
  virtual const std::string& peer_address() const noexcept = 0;

  /// When all places are taken, one that is not at work on a request and has never shown a valid
  /// token gives its place to a newcomer: silence must not shut anybody out.
  bool gives_way() const noexcept { return !busy_ && !trusted_; }
  void set_busy(bool busy) noexcept { busy_ = busy; }
  void set_trusted() noexcept { trusted_ = true; }

 private:
  bool busy_ = false;
  bool trusted_ = false;
};

std::shared_ptr<ByteStream> make_plain_stream(boost::asio::ip::tcp::socket socket);
/// Null when OpenSSL has no memory for another session.
std::shared_ptr<ByteStream> make_tls_stream(boost::asio::ip::tcp::socket socket,
                                            std::shared_ptr<const transport::TlsContext> context);

}  // namespace skerry::http
