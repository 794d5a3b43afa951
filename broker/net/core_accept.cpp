// Accepting: a few sockets a turn, straight into the epoll set, with pauses when descriptors run
// out.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>

#include "net/core.hpp"

namespace skerry::net {

namespace {

constexpr int backlog = 4'096;
// Without a free descriptor the listening sockets would be ready for ever: look away for a while.
constexpr Milliseconds accept_pause{250};

}  // namespace

void Core::add_socket(const Listener& listener, int descriptor) {
  listening_.push_back({&listener, descriptor, false});
}

void Core::listen() {
  for (const Socket& socket : listening_) {
    ::listen(socket.descriptor, backlog);
  }
  boost::asio::post(*io_, [this] { resume_accepting(); });
}

void Core::resume_accepting() {
  accept_again_ = SteadyTime::max();
  for (std::size_t index = 0; index < listening_.size(); ++index) {
    Socket& socket = listening_[index];
    if (!socket.watched) {
      socket.watched = true;
      traffic_.watch_listener(socket.descriptor, static_cast<std::uint32_t>(index), true);
    }
  }
}

void Core::pause_accepting(Now now) {
  accept_again_ = now.steady + accept_pause;
  for (std::size_t index = 0; index < listening_.size(); ++index) {
    Socket& socket = listening_[index];
    if (socket.watched) {
      socket.watched = false;
      traffic_.watch_listener(socket.descriptor, static_cast<std::uint32_t>(index), false);
    }
  }
}

void Core::accept_from(Socket& socket, Now now) {
  for (std::uint32_t count = 0; count < common_.options.limits.accepts_per_turn; ++count) {
    const int descriptor =
        ::accept4(socket.descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      admit(socket, descriptor, now);
      continue;
    }
    switch (errno) {
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        log(2, "accept_paused", socket.listener->name, "no file descriptor or memory is left");
        pause_accepting(now);
        return;
      case ECONNABORTED:
      case EINTR:
        continue;
      default:
        return;
    }
  }
}

void Core::admit(const Socket& socket, int descriptor, Now now) {
  counters_.connections_accepted.add();
  // Two cores may both see the last free place; one over the cap for each core does no harm.
  if (common_.connections_open.load(std::memory_order_relaxed) >= common_.connections_max) {
    counters_.connections_refused.add();
    ::close(descriptor);
    return;
  }
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const Listener& listener = *socket.listener;
  auto stream = listener.tls ? transport::make_tls_stream(descriptor, listener.tls())
                             : transport::make_plain_stream(descriptor);
  traffic_.add(std::make_unique<Connection>(traffic_, listener, std::move(stream),
                                            OpenConnection(&common_.connections_open)),
               now.steady + common_.options.limits.connect_timeout);
}

}  // namespace skerry::net
