#include "attempts.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "clock.hpp"
#include "wire.hpp"

namespace skerry::flood {
namespace {

constexpr std::size_t open_max = 15'000;  // of the 20,000 descriptors that are common
constexpr std::uint32_t starts_at_once = 200;
using bench::second;

void reset_when_closed(int descriptor) {
  const linger now{1, 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

sockaddr_in loopback(std::uint32_t host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(0x7F000000U | host);
  return address;
}

const sockaddr* raw(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

// By reset, so that neither side keeps ports or TIME_WAIT.
Attempts::Attempt::~Attempt() {
  SSL_free(ssl);
  reset_when_closed(descriptor);
  ::close(descriptor);
}

Attempts::Attempts(const Options& options)
    : options_(options),
      tls_(options.server.endpoint.is_tls ? bench::make_tls(options.server.tls) : nullptr),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (tls_ != nullptr) {
    SSL_CTX_set_session_cache_mode(tls_.get(), SSL_SESS_CACHE_OFF);  // every handshake a full one
    SSL_CTX_set_options(tls_.get(), SSL_OP_NO_TICKET);
  }
}

Attempts::~Attempts() {
  slots_.clear();
  ::close(epoll_);
}

Attempts::Manner Attempts::manner_of(std::uint32_t number) const {
  if (options_.mode == "reset") {
    return Manner::reset;
  }
  if (options_.mode == "tls") {
    return Manner::tls;
  }
  if (options_.mode == "storm") {
    return Manner::stay;
  }
  constexpr std::array slow{Manner::silent, Manner::hello, Manner::drip};
  return slow[number % slow.size()];
}

void Attempts::start(std::uint32_t number) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) {
    ++not_started_;
    return;
  }
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (options_.hosts > 1) {
    ::setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const auto from = loopback(2 + number % options_.hosts, 0);
    ::bind(descriptor, raw(from), sizeof from);
  }
  const sockaddr_in& to = options_.server.endpoint.address;
  if (::connect(descriptor, raw(to), sizeof to) != 0 && errno != EINPROGRESS) {
    ++not_started_;
    ::close(descriptor);
    return;
  }
  if (free_.empty()) {
    free_.push_back(slots_.size());
    slots_.emplace_back();
  }
  const std::size_t slot = free_.back();
  free_.pop_back();
  slots_[slot] = std::make_unique<Attempt>(descriptor, nullptr, manner_of(number), number);
  ++open_;
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u64 = slot;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
}

void Attempts::start_due(std::int64_t now) {
  const bool fleet = options_.mode == "storm" || options_.mode == "slow";
  std::uint32_t budget = starts_at_once;
  while (!retries_.empty() && retries_.top().at <= now && budget-- > 0) {
    const std::uint32_t number = retries_.top().number;
    retries_.pop();
    start(number);
  }
  const double passed = static_cast<double>(now - begin_) / 1e9;
  const auto due = fleet ? options_.count : static_cast<std::uint32_t>(passed * options_.rate);
  while (started_ < due && budget-- > 0) {
    if (open_ >= open_max) {
      ++not_started_;
      ++started_;
      continue;
    }
    first_try_.resize(fleet ? started_ + 1 : 0, now);
    start(started_++);
  }
}

void Attempts::run() {
  begin_ = bench::now();
  drip_at_ = begin_ + second;
  const auto end = begin_ + static_cast<std::int64_t>(options_.seconds * 1e9);
  const std::uint64_t all = options_.count;
  std::int64_t now = begin_;
  while (now < end && !(options_.mode == "storm" && accepted_ >= all)) {
    start_due(now);
    turn();
    now = bench::now();
    if (now >= drip_at_) {
      drip_at_ += second;
      drip();
    }
  }
  seconds_ = static_cast<double>(now - begin_) / 1e9;
}

void Attempts::turn() {
  std::array<epoll_event, 256> events;
  const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    turn_slot_ = static_cast<std::size_t>(event.data.u64);
    if (slots_[turn_slot_] != nullptr) {
      on_event(turn_slot_, event.events);
    }
  }
}

void Attempts::on_event(std::size_t slot, std::uint32_t events) {
  Attempt& attempt = *slots_[slot];
  turn_lost_ = turn_reset_ = false;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    lose(slot, true);
    return;
  }
  if (attempt.manner == Manner::reset) {
    end(slot);
    return;
  }
  switch (attempt.phase) {
    case Phase::connecting:
      on_connected(attempt);
      break;
    case Phase::handshake:
      shake(attempt);
      break;
    default:
      read(attempt);
  }
  if (turn_lost_) {
    lose(slot, turn_reset_);
  } else if (attempt.phase == Phase::in && attempt.manner == Manner::tls) {
    end(slot);
  }
}

void Attempts::on_connected(Attempt& attempt) {
  if (attempt.manner == Manner::silent) {
    attempt.phase = Phase::idle;
    watch(attempt, false);
    return;
  }
  attempt.ssl = SSL_new(tls_.get());
  SSL_set_fd(attempt.ssl, attempt.descriptor);
  SSL_set_tlsext_host_name(attempt.ssl, options_.server.endpoint.host.c_str());
  SSL_set_connect_state(attempt.ssl);
  attempt.phase = Phase::handshake;
  shake(attempt);
}

void Attempts::shake(Attempt& attempt) {
  const int result = SSL_do_handshake(attempt.ssl);
  if (attempt.manner == Manner::hello) {
    attempt.phase = Phase::idle;
    watch(attempt, false);
    return;
  }
  if (result != 1) {
    const int error = SSL_get_error(attempt.ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      watch(attempt, error == SSL_ERROR_WANT_WRITE);
    } else {
      turn_lost_ = true;
      turn_reset_ = errno == ECONNRESET;
    }
    return;
  }
  ++handshakes_;
  watch(attempt, false);
  if (attempt.manner == Manner::drip) {
    attempt.phase = Phase::dripping;
    return;
  }
  attempt.phase = Phase::connect;
  const std::string packet = connect_packet(attempt);
  SSL_write(attempt.ssl, packet.data(), static_cast<int>(packet.size()));
}

void Attempts::read(Attempt& attempt) {
  std::array<char, 512> buffer;
  int count = 0;
  if (attempt.ssl == nullptr || attempt.phase == Phase::idle) {
    count = static_cast<int>(::recv(attempt.descriptor, buffer.data(), buffer.size(), 0));
    turn_lost_ = count == 0 || (count < 0 && errno != EAGAIN);
    turn_reset_ = count < 0;
    return;
  }
  count = SSL_read(attempt.ssl, buffer.data(), static_cast<int>(buffer.size()));
  if (count <= 0) {
    turn_lost_ = SSL_get_error(attempt.ssl, count) != SSL_ERROR_WANT_READ;
    turn_reset_ = errno == ECONNRESET;
    return;
  }
  if (attempt.phase == Phase::connect) {
    if (count < 4 || buffer[0] != 0x20 || buffer[3] != 0) {
      turn_lost_ = true;
      return;
    }
    attempt.phase = Phase::in;
    ++accepted_;
    const bool fleet = attempt.manner == Manner::stay;
    times_.add(bench::now() - (fleet ? first_try_[attempt.number] : attempt.began));
  }
}

void Attempts::watch(const Attempt& attempt, bool for_write) {
  epoll_event event{};
  event.events = for_write ? EPOLLOUT : EPOLLIN;
  event.data.u64 = turn_slot_;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, attempt.descriptor, &event);
}

void Attempts::end(std::size_t slot) {
  slots_[slot].reset();
  free_.push_back(slot);
  --open_;
}

void Attempts::lose(std::size_t slot, bool by_reset) {
  ++(by_reset ? resets_ : closes_);
  const Attempt& attempt = *slots_[slot];
  const bool again = options_.mode == "storm" || options_.mode == "slow";
  if (again) {
    // One to two seconds, as devices should.
    const auto jitter = static_cast<std::int64_t>(random_() % 1'000) * 1'000'000;
    retries_.push({bench::now() + second + jitter, attempt.number});
  }
  end(slot);
}

void Attempts::drip() {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    Attempt* const attempt = slots_[slot].get();
    if (attempt != nullptr && attempt->phase == Phase::dripping) {
      const std::string packet = connect_packet(*attempt);
      if (attempt->dripped + 1 < packet.size()) {
        SSL_write(attempt->ssl, packet.data() + attempt->dripped++, 1);
      }
    }
  }
}

std::string Attempts::connect_packet(const Attempt& attempt) const {
  std::string packet;
  bench::append_connect(packet, {.client_id = options_.name + "-" + std::to_string(attempt.number),
                                 .user_name = {},
                                 .password = {}});
  return packet;
}

void Attempts::print() {
  std::printf(
      "{\"mode\":\"%s\",\"seconds\":%.2f,\"started\":%u,\"accepted\":%llu,\"handshakes\":%llu,"
      "\"resets\":%llu,\"closes\":%llu,\"not_started\":%llu,\"p50_ms\":%.1f,\"p99_ms\":%.1f,"
      "\"max_ms\":%.1f}\n",
      options_.mode.c_str(), seconds_, started_, static_cast<unsigned long long>(accepted_),
      static_cast<unsigned long long>(handshakes_), static_cast<unsigned long long>(resets_),
      static_cast<unsigned long long>(closes_), static_cast<unsigned long long>(not_started_),
      times_.quantile(0.5), times_.quantile(0.99), times_.quantile(1));
  std::fflush(stdout);
}

}  // namespace skerry::flood
