// An HTTP/1.1 server on Beast, with or without TLS, for the admin, enrolment and metrics ports.
// It knows caps, timeouts and routing; what an answer means is the handlers' business.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "http/doors.hpp"
#include "http/endpoint.hpp"
#include "transport/tls_context.hpp"

namespace skerry::http {

struct ServerOptions {
  std::string name;                 ///< for logs: "admin"
  std::string bind;                 ///< "127.0.0.1:8443"
  transport::TlsContextSource tls;  ///< null: plain HTTP
  DoorOptions doors;                ///< any number of connections a second when not set
  std::size_t connections_max = 512;
  std::size_t header_bytes_max = 16 * 1024;
  std::chrono::seconds header_timeout{10};  ///< also for the TLS handshake
  std::chrono::seconds body_timeout{30};
  std::chrono::seconds idle_timeout{60};
  TokenGuard guard;  ///< needed when an endpoint has Guard::token
  /// Hears of each request that its token did not open; on the loop of the server.
  std::function<void(const Refusal&)> refused = [](const Refusal&) {};
  std::function<void(std::string_view)> log = [](std::string_view) {};
};

class Server {
 public:
  /// Binds and listens, or throws std::runtime_error with one clear sentence (port in use, bad
  /// address). `io` runs on one thread (the admin loop) and must outlive the server.
  Server(boost::asio::io_context& io, ServerOptions options, EndpointTable endpoints);
  /// Closes the listener and all connections.
  ~Server();

  /// The port it listens on, of use when `bind` asked for port 0.
  std::uint16_t port() const noexcept;

  const std::string& name() const noexcept;
  /// What its doors have counted. Any thread.
  const Doors& doors() const noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace skerry::http
