// Accepting: a few sockets a turn, straight into the epoll set, with pauses when descriptors run
// out.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "net/address.hpp"
#include "net/core.hpp"
#include "transport/network_prefix.hpp"

namespace skerry::net {

namespace {

constexpr int backlog = 4'096;
// Without a free descriptor the listening sockets would be ready for ever: look away for a while.
constexpr Milliseconds accept_pause{250};
// Over the rate of all: not so short that looking again costs more than accepting.
constexpr Milliseconds rate_pause{5};
// Bytes that a socket takes beyond what its peer has room for. By itself the kernel would hold up
// to four megabytes for each client that does not read: memory that no budget of ours counts, and
// once the TCP of the machine is short of it, everybody's packets are thrown away and sent again.
constexpr int unsent_in_kernel_max = 128 * 1024;
// What was shed is told this often.
constexpr Seconds shed_lines_apart{10};

void set_up(int descriptor) noexcept {
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_in_kernel_max,
               sizeof unsent_in_kernel_max);
}

}  // namespace

void Core::add_socket(const Listener& listener, int descriptor) {
  listening_.push_back({&listener, descriptor, false});
}

void Core::listen() {
  for (const Socket& socket : listening_) {
    ::listen(socket.descriptor, backlog);
  }
  work_->post([this] { resume_accepting(); });
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

void Core::pause_accepting(SteadyTime until) {
  accept_again_ = until;
  for (std::size_t index = 0; index < listening_.size(); ++index) {
    Socket& socket = listening_[index];
    if (socket.watched) {
      socket.watched = false;
      traffic_.watch_listener(socket.descriptor, static_cast<std::uint32_t>(index), false);
    }
  }
}

void Core::accept_from(std::uint32_t index, Now now) {
  const SteadyTime opens_at = common_.doors->opens_at(now.steady);
  if (opens_at > now.steady) {
    counters_.accepts_deferred.add();
    pause_accepting(std::max(opens_at, now.steady + rate_pause));
    return;
  }
  const Socket& socket = listening_[index];
  sockaddr_storage peer;
  for (std::uint32_t count = 0; count < common_.options.limits.accepts_per_turn; ++count) {
    socklen_t size = sizeof peer;
    const int descriptor = ::accept4(socket.descriptor, reinterpret_cast<sockaddr*>(&peer), &size,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      admit(index, descriptor, peer, now);
      continue;
    }
    switch (errno) {
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        log(2, "accept_paused", socket.listener->name, "no file descriptor or memory is left");
        pause_accepting(now.steady + accept_pause);
        return;
      case ECONNABORTED:
      case EINTR:
        continue;
      default:
        return;
    }
  }
}

std::optional<ShedReason> Core::find_place(std::uint32_t listener, std::uint64_t address, Now now,
                                           Place& place) {
  Doors::Entry entry = common_.doors->enter(listener, address, now.steady);
  if (entry.shed == ShedReason::total && traffic_.make_room(address)) {
    entry = common_.doors->enter(listener, address, now.steady);
  }
  if (entry.shed) {
    return entry.shed;
  }
  if (traffic_.lobby_full() && !traffic_.make_room(address)) {
    return ShedReason::unattached;
  }
  place = std::move(entry.place);
  return std::nullopt;
}

void Core::admit(std::uint32_t index, int descriptor, const sockaddr_storage& peer, Now now) {
  counters_.connections_accepted.add();
  const Limits& limits = common_.options.limits;
  const auto prefix =
      transport::NetworkPrefix::of(peer, {limits.address_bits_v4, limits.address_bits_v6});
  const std::uint64_t address = keyed_hash(common_.options.hash_key, prefix.bytes());
  Place place;
  if (const auto reason = find_place(index, address, now, place)) {
    counters_.shed[static_cast<int>(*reason)].add();
    counters_.connections_refused.add();
    reset_when_closed(descriptor);
    ::close(descriptor);
    return;
  }
  set_up(descriptor);
  const Listener& listener = *listening_[index].listener;
  auto stream = listener.tls ? transport::make_tls_stream(descriptor, listener.tls())
                             : transport::make_plain_stream(descriptor);
  traffic_.add(
      std::make_unique<Connection>(traffic_, listener, std::move(stream), std::move(place)),
      now.steady + limits.connect_timeout, address);
}

void Core::tell_shed(Now now) {
  if (now.steady < shed_told_at_ + shed_lines_apart) {
    return;
  }
  std::string line;
  for (std::size_t reason = 0; reason < shed_told_.size(); ++reason) {
    const std::uint64_t count = counters_.shed[reason].read();
    if (const std::uint64_t more = count - std::exchange(shed_told_[reason], count); more > 0) {
      line += std::string(line.empty() ? "" : ", ") + name_of(static_cast<ShedReason>(reason)) +
              " " + std::to_string(more);
    }
  }
  if (!line.empty()) {
    shed_told_at_ = now.steady;
    log(2, "connections_shed", "", line);
  }
}

}  // namespace skerry::net
