// The listening side: binds with words that help, accepts under a cap, and closes everything at the
// end. What a connection does is in connection.cpp.
#include "http/server.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <map>
#include <stdexcept>

#include "http/connection.hpp"

namespace skerry::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// Pause after an accept that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds accept_pause{100};
/// Over the rate of all: not so short that looking again costs more than accepting.
constexpr std::chrono::milliseconds rate_pause{5};

tcp::endpoint parse_bind(const ServerOptions& options) {
  const std::string& bind = options.bind;
  const std::size_t colon = bind.rfind(':');
  std::uint16_t port = 0;
  std::string host = bind.substr(0, colon);
  const char* end = bind.data() + bind.size();
  const auto fail = [&] {
    throw std::runtime_error(options.name + ": \"" + bind +
                             "\" is no address to listen on; write it like 127.0.0.1:8443 or "
                             "[::1]:8443");
  };
  if (colon == std::string::npos) {
    fail();
  }
  const auto parsed = std::from_chars(bind.data() + colon + 1, end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end) {
    fail();
  }
  if (host == "localhost") {
    host = "127.0.0.1";
  }
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    fail();
  }
  error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error) {
    fail();
  }
  return {address, port};
}

[[noreturn]] void fail_listen(const ServerOptions& options, const error_code& error) {
  std::string why = error.message();
  if (error == asio::error::address_in_use) {
    why = "another program uses this port";
  } else if (error == asio::error::access_denied) {
    why = "this user may not use ports below 1024";
  } else if (error == boost::system::errc::address_not_available) {
    why = "this machine does not have that address";
  }
  throw std::runtime_error(options.name + ": cannot listen on " + options.bind + ": " + why);
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(asio::io_context& io, ServerOptions options, EndpointTable endpoints)
      : acceptor(io),
        retry_timer(io),
        doors(options.doors),
        service(std::make_shared<Service>(std::move(options), std::move(endpoints))) {}

  void listen();
  asio::awaitable<void> accept_loop();
  bool make_room();
  void admit(tcp::socket socket);
  void start(tcp::socket socket);
  void stop();

  tcp::acceptor acceptor;
  asio::steady_timer retry_timer;
  Doors doors;
  std::shared_ptr<Service> service;
  std::map<std::uint64_t, std::shared_ptr<ByteStream>> streams;  ///< in the order of accepting
  std::uint64_t accepted = 0;
  bool stopped = false;
};

void Server::Impl::listen() {
  const ServerOptions& options = service->options;
  const tcp::endpoint endpoint = parse_bind(options);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) {
    // Restarts must not wait for old connections in TIME_WAIT; it does not let two servers share
    // the port.
    acceptor.set_option(asio::socket_base::reuse_address(true), error);
  }
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (!error) {
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    fail_listen(options, error);
  }
}

asio::awaitable<void> Server::Impl::accept_loop() {
  const auto self = shared_from_this();
  while (!stopped) {
    error_code error;
    const SteadyTime now = std::chrono::steady_clock::now();
    const SteadyTime opens_at = doors.opens_at(now);
    if (opens_at > now) {
      retry_timer.expires_at(std::max(opens_at, now + rate_pause));
      co_await retry_timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      admit(std::move(socket));
      continue;
    }
    if (stopped || error == asio::error::operation_aborted) {
      co_return;
    }
    retry_timer.expires_after(accept_pause);
    co_await retry_timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

/// Sends the oldest connection away that gives way; false when all keep their places.
bool Server::Impl::make_room() {
  const auto oldest = std::find_if(streams.begin(), streams.end(),
                                   [](const auto& entry) { return entry.second->gives_way(); });
  if (oldest == streams.end()) {
    return false;
  }
  oldest->second->close();
  streams.erase(oldest);
  return true;
}

void Server::Impl::admit(tcp::socket socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) {
    return;  // gone again
  }
  if (!doors.enter(peer, std::chrono::steady_clock::now())) {
    socket.set_option(asio::socket_base::linger(true, 0), error);  // by reset
    return;
  }
  start(std::move(socket));
}

void Server::Impl::start(tcp::socket socket) {
  const ServerOptions& options = service->options;
  if (streams.size() >= options.connections_max && !make_room()) {
    return;  // the socket closes; those that are served keep their places
  }
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  std::shared_ptr<ByteStream> stream;
  if (options.tls) {
    stream = make_tls_stream(std::move(socket), options.tls());
  } else {
    stream = make_plain_stream(std::move(socket));
  }
  if (!stream) {
    return;
  }
  const std::uint64_t number = ++accepted;
  streams.emplace(number, stream);
  const auto ended = [self = shared_from_this(), number](const std::exception_ptr& thrown) {
    self->streams.erase(number);
    if (!thrown) {
      return;
    }
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& exception) {
      self->service->options.log(self->service->options.name +
                                 ": a connection ended by an exception: " + exception.what());
    }
  };
  asio::co_spawn(acceptor.get_executor(), serve_connection(service, stream), ended);
}

void Server::Impl::stop() {
  stopped = true;
  error_code ignored;
  acceptor.close(ignored);
  retry_timer.cancel();
  for (const auto& [number, stream] : streams) {
    stream->close();
  }
}

Server::Server(asio::io_context& io, ServerOptions options, EndpointTable endpoints)
    : impl_(std::make_shared<Impl>(io, std::move(options), std::move(endpoints))) {
  impl_->listen();
  asio::co_spawn(
      io, [impl = impl_]() -> asio::awaitable<void> { return impl->accept_loop(); },
      [impl = impl_](const std::exception_ptr& thrown) {
        if (thrown) {
          impl->service->options.log(impl->service->options.name + ": stopped accepting");
        }
      });
}

Server::~Server() {
  impl_->stop();
}

std::uint16_t Server::port() const noexcept {
  error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

const std::string& Server::name() const noexcept {
  return impl_->service->options.name;
}

const Doors& Server::doors() const noexcept {
  return impl_->doors;
}

}  // namespace skerry::http
