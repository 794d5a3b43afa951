// What the admin side asks of the cores: each question is carried to every core that it concerns
// and answered there in slices.
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "mqtt/topic.hpp"
#include "net/core.hpp"
#include "net/server.hpp"

namespace skerry::net {

namespace {

// Sessions that one core ends before it serves others again.
constexpr std::uint32_t disconnects_per_slice = 32;
constexpr std::uint32_t clients_per_answer_max = 1'000;
// Changes of rights that come within this time are judged together, and above that number by a walk
// over all sessions.
constexpr Milliseconds changes_gather{20};
constexpr std::size_t owners_judged_one_by_one = 1'000;
// Messages by the broker that one turn routes when they come together.
constexpr std::size_t messages_per_turn = 64;
// Strings and binary data of MQTT are no longer than this.
constexpr std::size_t properties_bytes_max = 65'535;

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

/// One slice of work on a core: how many sessions it has closed and whether that was all.
using Disconnect =
    std::function<shard::Shard::DisconnectProgress(shard::Shard&, std::uint32_t limit, Now)>;

void disconnect_slice(Core& core, const Disconnect& disconnect,
                      const std::shared_ptr<ClosedCount>& count) {
  core.post([&core, disconnect, count](shard::Shard& shard, Now now) {
    const auto progress = disconnect(shard, disconnects_per_slice, now);
    count->add([&progress](std::uint64_t& closed) { closed += progress.closed; });
    if (!progress.done) {
      disconnect_slice(core, disconnect, count);
    }
  });
}

void disconnect_everywhere(const std::vector<std::unique_ptr<Core>>& cores,
                           const Disconnect& disconnect,
                           std::function<void(std::uint64_t closed)> done) {
  const auto count = std::make_shared<ClosedCount>(std::move(done));
  for (const auto& core : cores) {
    disconnect_slice(*core, disconnect, count);
  }
}

Disconnect by_credential(std::string credential, mqtt::Reason reason) {
  return [credential = std::move(credential), reason](shard::Shard& shard, std::uint32_t limit,
                                                      Now now) {
    return shard.disconnect_credential(credential, reason, limit, now);
  };
}

void reevaluate_slice(Core& core, const std::string& owner, const std::string& after,
                      const std::shared_ptr<ClosedCount>& count) {
  core.post([&core, owner, after, count](shard::Shard& shard, Now now) {
    const auto progress = shard.reevaluate(owner, after, now);
    count->add([&progress](std::uint64_t& ended) { ended += progress.ended; });
    if (!progress.done) {
      reevaluate_slice(core, owner, progress.next, count);
    }
  });
}

/// Whoever waits for a broker's message: is told once, also when the message gets lost because the
/// server ends. Counts the message's bytes while it is on its way to a core.
class MessageAnswer {
 public:
  MessageAnswer(std::function<void(storage::Status)> done, std::atomic<std::size_t>& bytes_waiting)
      : done_(std::move(done)), bytes_waiting_(bytes_waiting) {}
  ~MessageAnswer() {
    arrived();
    give({storage::StatusCode::closed, "the server has ended"});
  }
  MessageAnswer(const MessageAnswer&) = delete;
  MessageAnswer& operator=(const MessageAnswer&) = delete;

  /// Adds the message to what waits; false: too much does.
  bool wait(std::size_t bytes, std::size_t bytes_max) {
    bytes_ = bytes;
    return bytes_waiting_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bytes_max;
  }
  void arrived() { bytes_waiting_.fetch_sub(std::exchange(bytes_, 0), std::memory_order_relaxed); }
  void give(storage::Status status) {
    if (const auto done = std::exchange(done_, nullptr)) {
      done(std::move(status));
    }
  }

 private:
  std::function<void(storage::Status)> done_;
  std::atomic<std::size_t>& bytes_waiting_;
  std::size_t bytes_ = 0;
};

bool before(const plugin::ClientInfo& left, const plugin::ClientInfo& right) {
  return std::tie(left.owner, left.client_id) < std::tie(right.owner, right.client_id);
}

}  // namespace

std::vector<const Counters*> Server::counters() const {
  std::vector<const Counters*> all;
  for (const auto& core : common_->cores) {
    all.push_back(&core->counters());
  }
  return all;
}

void Server::disconnect_owner(std::string owner, mqtt::Reason reason,
                              std::function<void(std::uint64_t closed)> done) {
  Disconnect by_owner = [owner = std::move(owner), reason](shard::Shard& shard, std::uint32_t limit,
                                                           Now now) {
    return shard.disconnect_owner(owner, reason, limit, now);
  };
  disconnect_everywhere(common_->cores, by_owner, std::move(done));
}

void Server::disconnect_certificate(std::string serial, mqtt::Reason reason,
                                    std::function<void(std::uint64_t closed)> done) {
  disconnect_everywhere(common_->cores, by_credential(std::move(serial), reason), std::move(done));
}

void Server::disconnect_key(std::string fingerprint, mqtt::Reason reason,
                            std::function<void(std::uint64_t closed)> done) {
  disconnect_everywhere(common_->cores, by_credential(std::move(fingerprint), reason),
                        std::move(done));
}

void Server::reevaluate(std::string owner, std::function<void(std::uint64_t ended)> done) {
  const auto count = std::make_shared<ClosedCount>(std::move(done));
  for (const auto& core : common_->cores) {
    reevaluate_slice(*core, owner, {}, count);
  }
}

void Server::rights_changed(std::string owner) {
  bool first = false;
  {
    const std::lock_guard lock(changed_mutex_);
    first = changed_owners_.empty();
    changed_owners_.insert(std::move(owner));
  }
  if (first && !common_->stopped) {
    common_->cores.front()->run_after(changes_gather, [this] { judge_changed(); });
  }
}

void Server::judge_changed() {
  std::set<std::string, std::less<>> owners;
  {
    const std::lock_guard lock(changed_mutex_);
    owners.swap(changed_owners_);
  }
  if (owners.size() > owners_judged_one_by_one) {
    owners = {std::string{}};
  }
  for (const std::string& owner : owners) {
    reevaluate(owner, [](std::uint64_t) {});
  }
}

// To the core that keeps the topic's retained message, so that two messages of one topic cannot
// overtake each other.
void Server::publish(plugin::BrokerMessage message, std::function<void(storage::Status)> done) {
  const auto answer =
      std::make_shared<MessageAnswer>(std::move(done), common_->broker_message_bytes);
  const Limits& limits = common_->options.limits;
  const std::size_t bytes = message.topic.size() + message.payload.size();
  if (!mqtt::is_valid_topic_name(message.topic) || bytes > limits.packet_size_max ||
      message.content_type.size() > properties_bytes_max ||
      (message.correlation_data && message.correlation_data->size() > properties_bytes_max)) {
    answer->give({storage::StatusCode::unsupported, "this cannot be published"});
    return;
  }
  if (common_->stopped) {
    return;  // which the answer says by itself
  }
  if (!answer->wait(bytes, limits.mailbox_bytes_max)) {
    answer->give({storage::StatusCode::full, "too many messages wait to be published"});
    return;
  }
  const std::uint64_t place = keyed_hash(common_->options.hash_key, message.topic);
  Core& core = *common_->cores[place % common_->options.core_count];
  core.post([message = std::move(message), answer](shard::Shard& shard, Now now) {
    answer->arrived();
    shard.publish(
        message, [answer](storage::Status status) { answer->give(std::move(status)); }, now);
  });
}

// Messages of one topic keep their order: they go to the same core.
void Server::publish_all(std::vector<plugin::BrokerMessage> messages) {
  std::vector<std::vector<plugin::BrokerMessage>> by_core(common_->options.core_count);
  const auto send = [this, &by_core](std::size_t index) {
    if (by_core[index].empty()) {
      return;
    }
    common_->cores[index]->post(
        [batch = std::exchange(by_core[index], {})](shard::Shard& shard, Now now) {
          for (const plugin::BrokerMessage& message : batch) {
            shard.publish(message, nullptr, now);
          }
        });
  };
  for (plugin::BrokerMessage& message : messages) {
    const std::size_t index =
        keyed_hash(common_->options.hash_key, message.topic) % common_->options.core_count;
    by_core[index].push_back(std::move(message));
    if (by_core[index].size() == messages_per_turn) {
      send(index);
    }
  }
  for (std::size_t index = 0; index < by_core.size(); ++index) {
    send(index);
  }
}

std::optional<plugin::Presence> Server::presence_of(std::string_view device) const {
  return common_->presence->presence_of(device);
}

void Server::forget_device(std::string_view device) {
  common_->presence->forget(device);
}

void Server::end_client(const std::string& key, shard::Shard::Ending what,
                        std::function<void(ClientOutcome)> done) {
  const auto outcome = std::make_shared<Gathering<ClientOutcome>>(std::move(done));
  const CoreIndex home =
      shard::home_core(common_->options.hash_key, key, common_->options.core_count);
  outcome->add([](ClientOutcome& value) { value = ClientOutcome::not_found; });
  common_->cores[home.value]->post([key, what, outcome](shard::Shard& shard, Now now) {
    const ClientOutcome found = shard.end_client(key, what, now);
    outcome->add([found](ClientOutcome& value) { value = found; });
  });
}

void Server::disconnect_client(std::string owner, std::string client_id,
                               std::function<void(ClientOutcome)> done) {
  end_client(shard::session_key(owner, client_id), shard::Shard::Ending::connection,
             std::move(done));
}

void Server::remove_session(std::string owner, std::string client_id,
                            std::function<void(ClientOutcome)> done) {
  end_client(shard::session_key(owner, client_id), shard::Shard::Ending::session, std::move(done));
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
