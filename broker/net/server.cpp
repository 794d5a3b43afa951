// Starting and stopping the cores, and questions of the admin side carried to each of them.
#include "net/server.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <latch>
#include <mutex>
#include <stdexcept>

#include "base/assert.hpp"
#include "net/address.hpp"
#include "net/core.hpp"

namespace skerry::net {

namespace {

// Sessions that one core ends before it serves others again.
constexpr std::uint32_t disconnects_per_slice = 64;
constexpr std::uint32_t clients_per_answer_max = 1'000;

// Descriptors that connections may use: the store, the admin ports and logs need some, too.
std::uint32_t connections_by_descriptors() noexcept {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t usable = std::min<rlim_t>(limit.rlim_cur, 4'000'000);
  return static_cast<std::uint32_t>(usable - std::min<rlim_t>(usable / 4, 1'024));
}

/// Collects one answer from each core and calls `done` when the last one has let go of it, be it
/// because it answered or because it was stopped.
template <typename Value>
class Gathering {
 public:
  explicit Gathering(std::function<void(Value)> done) : done_(std::move(done)) {}
  ~Gathering() { done_(std::move(value_)); }
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;

  template <typename Change>
  void add(Change&& change) {
    const std::lock_guard lock(mutex_);
    change(value_);
  }

 private:
  std::mutex mutex_;
  Value value_{};
  std::function<void(Value)> done_;
};

using ClosedCount = Gathering<std::uint64_t>;
using ClientList = Gathering<std::vector<plugin::ClientInfo>>;

void disconnect_slice(Core& core, const std::string& owner, mqtt::Reason reason,
                      const std::shared_ptr<ClosedCount>& count) {
  core.post([&core, owner, reason, count](shard::Shard& shard, Now now) {
    const auto progress = shard.disconnect_owner(owner, reason, disconnects_per_slice, now);
    count->add([&progress](std::uint64_t& closed) { closed += progress.closed; });
    if (!progress.done) {
      disconnect_slice(core, owner, reason, count);
    }
  });
}

bool before(const plugin::ClientInfo& left, const plugin::ClientInfo& right) {
  return std::tie(left.owner, left.client_id) < std::tie(right.owner, right.client_id);
}

}  // namespace

Server::Server(ServerOptions options) : common_(std::make_unique<Common>()) {
  SKERRY_ASSERT(options.core_count > 0 && options.committer != nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  common_->options = std::move(options);
  const std::uint32_t possible = connections_by_descriptors();
  const std::uint32_t wanted = common_->options.limits.connections_max;
  common_->connections_max = wanted == 0 ? possible : std::min(wanted, possible);
  for (std::uint16_t index = 0; index < common_->options.core_count; ++index) {
    common_->cores.push_back(std::make_unique<Core>(*common_, CoreIndex{index}));
  }
  bind_listeners();
}

Server::~Server() {
  stop();
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
}

void Server::stop() {
  if (!running_) {
    return;
  }
  running_ = false;
  for (const auto& core : common_->cores) {
    core->stop();
  }
  for (const auto& core : common_->cores) {
    core->join();
  }
}

std::uint16_t Server::port(std::size_t listener_index) const noexcept {
  return ports_[listener_index];
}

std::vector<const Counters*> Server::counters() const {
  std::vector<const Counters*> all;
  for (const auto& core : common_->cores) {
    all.push_back(&core->counters());
  }
  return all;
}

void Server::disconnect_owner(std::string owner, mqtt::Reason reason,
                              std::function<void(std::uint64_t closed)> done) {
  const auto count = std::make_shared<ClosedCount>(std::move(done));
  for (const auto& core : common_->cores) {
    disconnect_slice(*core, owner, reason, count);
  }
}

void Server::list_clients(ClientQuery query,
                          std::function<void(std::vector<plugin::ClientInfo>)> done) {
  query.limit = std::clamp(query.limit, 1U, clients_per_answer_max);
  const auto list = std::make_shared<ClientList>(
      [limit = query.limit, done = std::move(done)](std::vector<plugin::ClientInfo> clients) {
        std::sort(clients.begin(), clients.end(), before);
        if (clients.size() > limit) {
          clients.resize(limit);
        }
        done(std::move(clients));
      });
  for (const auto& core : common_->cores) {
    core->post([query, list](shard::Shard& shard, Now) {
      auto part = shard.list_clients(query);
      list->add([&part](std::vector<plugin::ClientInfo>& clients) {
        clients.insert(clients.end(), std::make_move_iterator(part.begin()),
                       std::make_move_iterator(part.end()));
      });
    });
  }
}

bool Server::loops_alive(std::uint32_t seconds) const {
  const auto now =
      std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
  return std::all_of(common_->cores.begin(), common_->cores.end(), [&](const auto& core) {
    return now - core->heartbeat() <= std::int64_t{seconds} * 1'000;
  });
}

}  // namespace skerry::net
