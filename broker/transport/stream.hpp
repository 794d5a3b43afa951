// Stream: a byte stream over a non-blocking socket, driven by readiness alone: it never waits and
// knows no event loop, so it can move from core to core with its socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "transport/tls_context.hpp"

namespace skerry::transport {

enum class IoStatus : std::uint8_t {
  ok,          ///< `bytes` were moved
  want_read,   ///< nothing now: wait until the socket is readable
  want_write,  ///< nothing now: wait until it is writable (TLS may need this to read, too)
  closed,      ///< the peer has ended the stream in order
  failed,      ///< reset or TLS alert; see error()
};

struct IoResult {
  IoStatus status = IoStatus::ok;
  std::size_t bytes = 0;
};

class Stream {
 public:
  /// Closes the socket.
  virtual ~Stream() = default;

  /// Goes on with the handshake: ok when finished (at once for plain TCP).
  virtual IoResult handshake() = 0;

  /// Reads at most buffer.size() bytes. A result shorter than the buffer means the socket is
  /// drained, unless has_pending().
  virtual IoResult read(std::span<std::uint8_t> buffer) = 0;

  /// Writes a prefix of `bytes`; what is not written must be offered again from the same position,
  /// with at least the same bytes, though not from the same address.
  virtual IoResult write(Bytes bytes) = 0;

  /// Bytes are decrypted or buffered inside and no readiness will tell of them: read again.
  virtual bool has_pending() const noexcept = 0;

  /// Says good-bye (TLS close_notify) if that is possible without waiting, and shuts down writing.
  virtual void shutdown() noexcept = 0;

  /// DER of the peer's chain after the handshake, leaf first; empty without.
  virtual std::vector<std::string> peer_certificates() const = 0;

  /// Gives back memory that only peer_certificates() needs, which must not be asked afterwards:
  /// parsed certificates are a good part of what an idle TLS connection costs.
  virtual void forget_peer() noexcept = 0;

  /// Why the last call failed, for logs: "TLS alert: certificate expired". Empty when it did not.
  virtual std::string error() const = 0;

  virtual int descriptor() const noexcept = 0;
};

/// Takes over a connected non-blocking TCP or unix socket.
std::unique_ptr<Stream> make_plain_stream(int descriptor);

/// The same behind TLS as the server's side; keeps `context` alive.
std::unique_ptr<Stream> make_tls_stream(int descriptor, std::shared_ptr<const TlsContext> context);

}  // namespace skerry::transport
