// World: shards without threads, sockets or clocks. Mail, commits and their completions are queues
// that a test steps one by one, in any order that is legal (in order per pair of cores, commits in
// order), or runs until all is quiet. Storage fails, forgets and is read back on request.
//
// Client: the other end of a link. It decodes what the shard writes and can answer by itself.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/counters.hpp"
#include "mqtt/codec.hpp"
#include "shard/reading.hpp"
#include "shard/shard.hpp"
#include "storage/kv_store.hpp"

namespace skerry::shard::test {

class World;

/// A decoded packet with the bytes that its views show.
struct Received {
  std::shared_ptr<std::string> bytes;
  mqtt::Packet packet;

  template <typename Kind>
  const Kind* as() const {
    return std::get_if<Kind>(&packet);
  }
};

/// One packet as a line: `PUBLISH a/b=payload q1 #3 dup retain id=7`.
std::string describe(const mqtt::Packet& packet);

/// One connection as the shard sees it.
class TestLink final : public session::Link {
 public:
  std::string& output() override {
    output_after_close = output_after_close || closed;
    return bytes;
  }
  std::size_t output_share(std::size_t cap) const noexcept override { return std::min(cap, share); }
  void output_changed() override {}
  void close(session::CloseCause why) override {
    closed = true;
    cause = why;
  }
  void pause_reading(bool value) override { paused = value; }
  void expires_at(WallTime when) override { not_after = when; }

  std::string bytes;
  std::size_t share = SIZE_MAX;  ///< of what a listener's connections may hold
  bool closed = false;
  bool paused = false;
  bool output_after_close = false;
  session::CloseCause cause{};
  WallTime not_after{};  ///< as told last
};

struct ConnectOptions {
  bool clean = true;
  std::uint32_t expiry = 0;
  std::uint16_t keep_alive = 0;
  std::uint16_t receive_maximum = 65'535;
  std::uint32_t maximum_packet_size = 0;
  std::uint16_t topic_alias_maximum = 0;
  bool problem_information = true;
  std::optional<mqtt::Will> will;
  plugin::PolicyKind policy = plugin::PolicyKind::open;
  std::string serial;  ///< of a certificate; its key is called "key-" and this
  RateLimits rates;    ///< of the listener
};

struct PublishOptions {
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  bool retain = false;
  bool dup = false;
  std::uint16_t packet_id = 0;  ///< 0: the next free one
  std::optional<std::uint16_t> alias;
  std::optional<std::uint32_t> expiry;
};

class Client {
 public:
  Client(World& world, std::string owner, std::string client_id, mqtt::Version version);

  /// Opens a new connection; false when it was refused. Nothing but the shard's own turn happens.
  bool connect(const ConnectOptions& options = {});
  void send(const mqtt::Packet& packet);
  void send_bytes(std::string_view bytes);
  /// The packet id that was used, 0 at QoS 0.
  std::uint16_t publish(std::string_view topic, std::string_view payload,
                        const PublishOptions& options = {});
  void subscribe(std::string_view filter, mqtt::Qos qos,
                 const mqtt::SubscriptionOptions& options = {}, std::uint32_t identifier = 0);
  void unsubscribe(std::string_view filter);
  void puback(std::uint16_t id) { send(mqtt::Puback{{id}, {}, {}, {}}); }
  void pubrec(std::uint16_t id) { send(mqtt::Pubrec{{id}, {}, {}, {}}); }
  void pubrel(std::uint16_t id) { send(mqtt::Pubrel{{id}, {}, {}, {}}); }
  void pubcomp(std::uint16_t id) { send(mqtt::Pubcomp{{id}, {}, {}, {}}); }
  void disconnect(mqtt::Reason reason = mqtt::Reason::success,
                  std::optional<std::uint32_t> expiry = {});
  /// The socket breaks.
  void drop();

  bool attached() const { return session_ != 0 && !link_->closed; }
  /// Decodes new output into `inbox` and, with `answers`, queues what MQTT asks of a receiver.
  void collect();
  /// What came since the last call, as lines joined by "; ".
  std::string heard();
  std::vector<Received> take() { return std::exchange(inbox, {}); }
  /// Has `packet` sent by a later step; its views must live until then.
  void queue(mqtt::Packet packet) { to_answer_.push_back(std::move(packet)); }
  bool has_queued() const { return !to_answer_.empty(); }
  /// Sends the oldest queued answer; false: there is none.
  bool answer_one();

  World& world;
  std::string owner;
  std::string client_id;
  mqtt::Version version;
  CoreIndex core;
  bool answers = false;  ///< acknowledges by itself
  bool stuck = false;    ///< its socket takes nothing
  std::vector<Received> inbox;
  /// Called for every packet received, aliases resolved, before it is answered.
  std::function<void(const mqtt::Packet&)> on_packet;
  TestLink& link() { return *link_; }
  Shard::SessionId session() const { return session_; }
  /// The server has gone: the connection is dead and nobody is told.
  void server_gone();

 private:
  void answer(const mqtt::Packet& packet);
  void show(mqtt::Packet packet);

  std::unique_ptr<TestLink> link_;
  std::vector<std::unique_ptr<TestLink>> old_links_;
  Shard::SessionId session_ = 0;
  std::uint16_t last_packet_id_ = 0;
  std::map<std::uint16_t, std::string> aliases_;
  std::deque<mqtt::Packet> to_answer_;

  friend class World;
};

struct WorldOptions {
  std::uint16_t cores = 1;
  std::uint64_t seed = 1;
  Limits limits{};
  const MemoryBudget* memory = nullptr;
  const plugin::Authorizer* authorizer = nullptr;
  plugin::MessageTap* tap = nullptr;
  StillValid still_valid;
  bool drop_revoked_queues = true;
  plugin::PresenceSink* presence = nullptr;
  TestFaults faults{};
  Milliseconds start_takes{0};  ///< cores run so long before they hear from one another
};

class World {
 public:
  explicit World(WorldOptions options);
  explicit World(std::uint16_t cores) : World(WorldOptions{.cores = cores}) {}
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Now now() const { return now_; }
  std::uint16_t core_count() const { return options_.cores; }
  Limits& limits() { return options_.limits; }
  Counters& counters(std::uint16_t core = 0) { return *counters_[core]; }
  std::uint64_t dropped(DropReason reason) const;
  Shard& shard(CoreIndex core) { return *shards_[core.value]; }
  storage::MemoryStore& store() { return *store_; }
  std::mt19937_64& random() { return random_; }

  /// A client whose session lives on `core` (% cores), under owner `user:<name>`.
  Client& client(std::string_view name, std::uint16_t core = 0,
                 mqtt::Version version = mqtt::Version::v5);
  Client& client_of(std::string_view owner, std::string_view client_id,
                    mqtt::Version version = mqtt::Version::v5);
  /// A topic below `prefix` whose retained message core `core` keeps.
  std::string topic_on(std::uint16_t core, std::string_view prefix) const;
  /// A name of a group for `filter` that core `core` owns.
  std::string group_on(std::uint16_t core, std::string_view filter) const;

  // Steps. Each is one turn of one shard.
  bool step_mail();        ///< the oldest batch of mail; false: none
  bool step_commit();      ///< writes the oldest batch that was handed over
  bool step_completion();  ///< tells its shard
  bool step_timer();       ///< what is due now
  bool step_read();        ///< the oldest read of queued messages
  bool step_answer();      ///< one answer of a client that answers by itself
  bool step_random();      ///< any of these
  /// Steps until nothing is left to do now.
  void run();
  void run_random();
  /// Lets virtual time pass, with everything that becomes due on the way.
  void advance(Milliseconds duration);

  /// Lets virtual time pass and nothing happen.
  void skip(Milliseconds duration) {
    now_.steady += duration;
    now_.wall += duration;
  }

  /// Runs `turn` as a turn of `core`.
  void turn(CoreIndex core, const std::function<void(Shard&)>& turn);

  /// The server dies: what was not written is lost, clients are not told. Then starts again.
  void crash(std::uint16_t cores_after = 0);
  /// Ends in order (shut_down), then starts again.
  void restart(std::uint16_t cores_after = 0);

  std::size_t records(storage::Family family) const;
  /// Messages, acks and inflight records together.
  std::size_t leftovers() const;
  std::uint64_t steps() const { return steps_; }

  bool commits_held = false;  ///< run() writes nothing
  bool mail_held = false;     ///< run() delivers no mail
  bool reads_held = false;    ///< run() reads nothing back
  bool readers_busy = false;  ///< what is read fails
  bool congested = false;
  bool mailboxes_full = false;
  bool space_low = false;
  std::uint32_t largest_batch = 0;  ///< operations of the largest that a turn has handed over
  std::uint64_t crash_at_step = 0;  ///< throws Crashed at that step; 0: never
  struct Crashed {};
  void count_step();
  std::vector<std::string> log;

 private:
  struct Side;  // Outside of one shard
  struct Commit {
    std::uint16_t core;
    std::uint64_t ticket;
    storage::Batch batch;
  };
  struct Completion {
    std::uint64_t ticket;
    storage::Status status;
  };
  struct Read {
    std::uint16_t core;
    ReadRequest request;
  };
  struct InTransit {
    std::uint16_t from;
    std::uint16_t to;
    MailBatch mail;
  };

  void build();
  void load();
  void bring_down();
  void collect_all();
  bool complete(std::uint16_t core);
  bool answer_read(std::size_t index);
  bool deliver(std::size_t index);
  bool first_of_pair(std::size_t index) const;

  WorldOptions options_;
  HashKey hash_key_{{0x0123456789abcdef, 0xfedcba9876543210}};
  Now now_;
  std::mt19937_64 random_;
  std::unique_ptr<storage::MemoryStore> store_;
  std::atomic<std::uint64_t> next_id_{1};
  std::vector<std::unique_ptr<Counters>> counters_;
  std::vector<std::unique_ptr<Side>> sides_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::deque<InTransit> mail_;
  std::deque<Commit> commits_;
  std::deque<Read> reads_;
  std::vector<std::deque<Completion>> completions_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::uint64_t steps_ = 0;

  friend class Client;
};

inline mqtt::Packet publish_of(std::string_view topic, std::string_view payload) {
  mqtt::Publish publish;
  publish.topic = topic;
  publish.payload = as_bytes(payload);
  return publish;
}

inline mqtt::Will will_of(std::string_view topic, std::string_view payload,
                          std::uint32_t delay = 0) {
  mqtt::Will will;
  will.topic = topic;
  will.payload = as_bytes(payload);
  will.delay_interval = delay;
  return will;
}

inline constexpr mqtt::Qos q0 = mqtt::Qos::at_most_once;
inline constexpr mqtt::Qos q1 = mqtt::Qos::at_least_once;
inline constexpr mqtt::Qos q2 = mqtt::Qos::exactly_once;
inline constexpr ConnectOptions persistent{.clean = false, .expiry = 3600};

}  // namespace skerry::shard::test
