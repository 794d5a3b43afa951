// Starting and stopping the cores; what the admin side asks is in server_admin.cpp.
#include "net/server.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <latch>
#include <stdexcept>

#include "base/assert.hpp"
#include "net/address.hpp"
#include "net/core.hpp"

namespace skerry::net {

namespace {

// Presence that comes within this time goes to the cores together.
constexpr Milliseconds presence_gathers{50};
// How long devices have to come back after a restart before they are said to be offline.
constexpr Milliseconds presence_grace{10'000};

// Descriptors that connections may use: the store, the admin ports and logs need some, too.
std::uint32_t connections_by_descriptors() noexcept {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t usable = std::min<rlim_t>(limit.rlim_cur, 4'000'000);
  return static_cast<std::uint32_t>(usable - std::min<rlim_t>(usable / 4, 1'024));
}

}  // namespace

Server::Server(ServerOptions options) : common_(std::make_unique<Common>()) {
  SKERRY_ASSERT(options.core_count > 0 && options.committer != nullptr);
  SKERRY_ASSERT(options.store != nullptr && options.readers != nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  common_->options = std::move(options);
  const std::uint32_t possible = connections_by_descriptors();
  const std::uint32_t wanted = common_->options.limits.connections_max;
  Doors::Options doors;
  doors.connections_max = wanted == 0 ? possible : std::min(wanted, possible);
  for (const Listener& listener : common_->options.listeners) {
    doors.listener_connections_max.push_back(listener.connections_max);
  }
  common_->doors = std::make_unique<Doors>(common_->options.limits, std::move(doors));
  make_presence();
  for (std::uint16_t index = 0; index < common_->options.core_count; ++index) {
    common_->cores.push_back(std::make_unique<Core>(*common_, CoreIndex{index}));
  }
  bind_listeners();
}

Server::~Server() {
  stop();
}

void Server::make_presence() {
  PresenceOptions presence;
  presence.publishes = common_->options.publishes_presence;
  presence.events = common_->options.events;
  presence.changed = common_->options.presence_changed;
  presence.wants_publishing = [this] {
    if (!common_->stopped && !common_->cores.empty()) {
      common_->cores.front()->run_after(presence_gathers, [this] { publish_presence(); });
    }
  };
  common_->presence = std::make_unique<PresenceTable>(std::move(presence));
}

void Server::publish_presence() {
  publish_all(common_->presence->take());
}

void Server::bind_listeners() {
  for (const Listener& listener : common_->options.listeners) {
    auto address = parse_address(listener.bind);
    if (address.has_error()) {
      throw std::runtime_error("listener " + listener.name + ": " + address.error());
    }
    if (auto free = probe_port(*address, listener.bind); free.has_error()) {
      throw std::runtime_error("listener " + listener.name + ": " + free.error());
    }
    for (const auto& core : common_->cores) {
      const auto descriptor = bind_shared(*address, listener.bind);
      if (descriptor.has_error()) {
        throw std::runtime_error("listener " + listener.name + ": " + descriptor.error());
      }
      core->add_socket(listener, *descriptor);
    }
    ports_.push_back(port_of(*address));
  }
}

bool Server::load(storage::Family family, std::string_view key, std::string_view value, Now now) {
  bool sound = true;
  if (family == storage::Family::retained && key.ends_with("/presence")) {
    std::string_view record = value;
    if (const mqtt::BlockPtr block = mqtt::decode_record(record)) {
      common_->presence->restore(key, as_text(block->payload()), now.wall);
    }
  }
  for (const auto& core : common_->cores) {
    sound = core->shard().load(family, key, value, now) && sound;
  }
  return sound;
}

void Server::start() {
  SKERRY_ASSERT(!running_);
  running_ = true;
  std::latch ready(static_cast<std::ptrdiff_t>(common_->cores.size()));
  for (const auto& core : common_->cores) {
    core->start([&ready] { ready.count_down(); });
  }
  ready.wait();
  common_->restore.reset();
  for (const auto& core : common_->cores) {
    core->listen();
  }
  common_->cores.front()->run_after(presence_grace,
                                    [this] { common_->presence->end_grace(read_clocks().wall); });
}

void Server::stop() {
  if (!running_) {
    return;
  }
  running_ = false;
  common_->presence->shut_down(read_clocks().wall);
  publish_all(common_->presence->take());  // goes to the cores before the word to stop
  common_->stopped = true;
  for (const auto& core : common_->cores) {
    core->stop();
  }
  for (const auto& core : common_->cores) {
    core->join();
  }
}

void Server::close_doors() noexcept {
  common_->doors->close();
}

void Server::open_doors() noexcept {
  common_->doors->open();
}

std::uint16_t Server::port(std::size_t listener_index) const noexcept {
  return ports_[listener_index];
}

}  // namespace skerry::net
