#include "fleet.hpp"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "clock.hpp"
#include "failure.hpp"

namespace skerry::bench {
namespace {

constexpr int events_max = 512;

}  // namespace

void Listener::on_closed(ClientIndex client, const std::string& why) {
  throw Failure("client " + std::to_string(client) + ": " + why);
}

Fleet::Fleet(Options options, Listener& listener)
    : options_(std::move(options)),
      listener_(listener),
      tls_(options_.endpoint.is_tls ? make_tls(options_.tls) : nullptr),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      scratch_(scratch_bytes) {}

Fleet::~Fleet() {
  for (Place& place : places_) {
    place.connection.reset();
    SSL_SESSION_free(place.session);
  }
  ::close(epoll_);
}

void Fleet::open(ClientIndex client, const std::string& client_id) {
  if (client >= places_.size()) {
    places_.resize(client + std::size_t{1});
  }
  Place& place = places_[client];
  SSL* ssl = nullptr;
  if (tls_) {
    ssl = SSL_new(tls_.get());
    use_own_certificate(ssl, options_.tls, client_id);
    if (options_.resumes && place.session != nullptr) {
      SSL_set_session(ssl, place.session);
    }
  }
  place.connection = std::make_unique<Connection>(options_.endpoint, ssl);
  ++place.generation;
  if (place.connection->state() == Connection::State::closed) {
    lose(client);
    return;
  }
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u64 = std::uint64_t{place.generation} << 32 | client;
  place.connection->watched = event.events;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, place.connection->descriptor(), &event);
}

void Fleet::close(ClientIndex client, bool reset) {
  Place& place = places_[client];
  if (place.connection == nullptr) {
    return;
  }
  if (options_.resumes && place.connection->ssl() != nullptr) {
    SSL_SESSION_free(place.session);
    place.session = SSL_get1_session(place.connection->ssl());
  }
  // What is still to be said goes out first, as far as the socket takes it.
  if (place.connection->state() == Connection::State::open) {
    place.connection->flush();
  }
  place.connection->close(reset);
  place.connection.reset();
}

bool Fleet::is_open(ClientIndex client) const noexcept {
  return client < places_.size() && places_[client].connection != nullptr &&
         places_[client].connection->state() == Connection::State::open;
}

bool Fleet::was_resumed(ClientIndex client) const noexcept {
  return is_open(client) && places_[client].connection->ssl() != nullptr &&
         SSL_session_reused(places_[client].connection->ssl()) == 1;
}

std::string& Fleet::output(ClientIndex client) {
  Connection& connection = *places_[client].connection;
  if (!connection.is_dirty) {
    connection.is_dirty = true;
    dirty_.push_back(client);
  }
  return connection.output;
}

void Fleet::watch(ClientIndex client, std::uint32_t events) {
  Place& place = places_[client];
  if (place.connection->watched == events) {
    return;
  }
  place.connection->watched = events;
  epoll_event event{};
  event.events = events;
  event.data.u64 = std::uint64_t{place.generation} << 32 | client;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, place.connection->descriptor(), &event);
}

void Fleet::flush_dirty() {
  flushing_.swap(dirty_);
  for (const ClientIndex client : flushing_) {
    Connection* const connection = places_[client].connection.get();
    if (connection == nullptr || !connection->is_dirty) {
      continue;
    }
    connection->is_dirty = false;
    switch (connection->flush()) {
      case Connection::Progress::done:
      case Connection::Progress::wants_read:
        watch(client, EPOLLIN);
        break;
      case Connection::Progress::wants_write:
        watch(client, EPOLLIN | EPOLLOUT);
        break;
      case Connection::Progress::failed:
        break;  // Reading says so too, behind what the broker may still have said.
    }
  }
  flushing_.clear();
}

void Fleet::turn(std::int64_t wait_nanoseconds) {
  flush_dirty();
  epoll_event events[events_max];
  const timespec wait{wait_nanoseconds / second, wait_nanoseconds % second};
  const int count = ::epoll_pwait2(epoll_, events, events_max, &wait, nullptr);
  for (int i = 0; i < count; ++i) {
    work(events[i].data.u64, events[i].events);
  }
}

void Fleet::work(std::uint64_t key, std::uint32_t events) {
  const auto client = static_cast<ClientIndex>(key);
  Place& place = places_[client];
  if (place.generation != key >> 32 || place.connection == nullptr) {
    return;  // An earlier event of this round has closed it.
  }
  if (place.connection->state() != Connection::State::open) {
    go_on(client);
    return;
  }
  if ((events & EPOLLOUT) != 0) {
    output(client);
  }
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
    read(client);
  }
}

void Fleet::go_on(ClientIndex client) {
  switch (places_[client].connection->advance()) {
    case Connection::Progress::done:
      watch(client, EPOLLIN);
      listener_.on_open(client);
      break;
    case Connection::Progress::wants_read:
      watch(client, EPOLLIN);
      break;
    case Connection::Progress::wants_write:
      watch(client, EPOLLOUT);
      break;
    case Connection::Progress::failed:
      lose(client);
      break;
  }
}

void Fleet::read(ClientIndex client) {
  const std::uint32_t generation = places_[client].generation;
  const auto is_same = [&] {
    return places_[client].connection != nullptr && places_[client].generation == generation;
  };
  for (bool more = true; more;) {
    Connection& connection = *places_[client].connection;
    const std::size_t kept = connection.rest.size();
    if (scratch_.size() < kept + scratch_bytes) {
      scratch_.resize(kept + scratch_bytes);
    }
    std::memcpy(scratch_.data(), connection.rest.data(), kept);
    connection.rest.clear();
    const Connection::Read read = connection.read(std::span(scratch_).subspan(kept));
    hand_out(client, {scratch_.data(), kept + read.bytes}, generation);
    if (!is_same()) {
      return;
    }
    if (read.is_closed) {
      lose(client);
      return;
    }
    more = read.may_have_more;
  }
  listener_.on_drained(client);
}

void Fleet::hand_out(ClientIndex client, std::string_view bytes, std::uint32_t generation) {
  Packet packet;
  while (const std::size_t size = read_packet(bytes, options_.version, packet)) {
    listener_.on_packet(client, packet);
    if (places_[client].connection == nullptr || places_[client].generation != generation) {
      return;
    }
    bytes.remove_prefix(size);
  }
  places_[client].connection->rest.assign(bytes);
}

void Fleet::lose(ClientIndex client) {
  const std::string why = places_[client].connection->trouble();
  places_[client].connection->close(true);
  places_[client].connection.reset();
  listener_.on_closed(client, why);
}

}  // namespace skerry::bench
