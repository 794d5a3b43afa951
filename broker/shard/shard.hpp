// Shard: every session and every route of one core. It joins sessions, routing, plugins and
// storage, does no I/O and looks at no clock; net::Core drives it and the simulator can do so as
// well.
//
// One turn: any number of open(), on_frame(), on_closed(), receive(), on_committed(), on_timer(),
// then one end_of_turn(), in which the turn's batch goes to the committer and mail to other cores.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.hpp"
#include "base/keyed_hash.hpp"
#include "base/limits.hpp"
#include "base/memory_budget.hpp"
#include "base/now.hpp"
#include "mqtt/frame.hpp"
#include "mqtt/packet.hpp"
#include "plugin/admin_view.hpp"
#include "plugin/audit.hpp"
#include "plugin/authorizer.hpp"
#include "plugin/identity.hpp"
#include "plugin/message_tap.hpp"
#include "plugin/presence.hpp"
#include "plugin/standing.hpp"
#include "session/link.hpp"
#include "shard/outside.hpp"
#include "shard/test_faults.hpp"
#include "storage/status.hpp"

namespace skerry::session {
class Session;
}

namespace skerry::shard {

class RestoreTable;
struct ReadAnswer;

/// Made once per start and given to all shards while the stored state is shown to them.
std::shared_ptr<RestoreTable> make_restore_table();

/// Asked when a session opens, when rights may have changed and at start. Any core, never blocks.
using StillValid = std::function<plugin::Standing(const plugin::Identity& identity, WallTime now)>;

/// Hears once what became of a message by the broker, on the shard's thread.
using MessageStored = std::function<void(storage::Status)>;

/// What all shards of a server share. The plugins must outlive the shards.
struct ShardOptions {
  CoreIndex index;
  std::uint16_t core_count = 1;
  HashKey hash_key;
  Limits limits;
  const MemoryBudget* memory = nullptr;  ///< null: as if there were always enough
  const plugin::Authorizer* authorizer = nullptr;
  plugin::MessageTap* tap = nullptr;  ///< may be null
  plugin::AuditLog* audit = nullptr;  ///< hears of what the authorizer refuses; may be null
  StillValid still_valid;             ///< null: everybody stays valid
  /// Is the queue of a session dropped when its certificate is revoked or its device suspended?
  /// That of retired and erased devices always is.
  bool drop_revoked_queues = true;
  plugin::PresenceSink* presence = nullptr;  ///< may be null
  Counters* counters = nullptr;
  /// Gives numbers for messages, sessions and groups that are never used again; shared by all
  /// cores.
  std::atomic<std::uint64_t>* next_id = nullptr;
  /// From make_restore_table(), the same for all shards; null when nothing is restored.
  std::shared_ptr<RestoreTable> restore;
  TestFaults faults;  ///< all off but in a test
};

/// A CONNECT that has been authenticated and carried to its home core.
struct ConnectRequest {
  plugin::Identity identity;
  std::string connect_frame;  ///< the whole CONNECT packet as received
  std::string client_id;      ///< as in the packet, or assigned when that was empty
  bool client_id_assigned = false;
  std::string peer_address;
  RateLimits rates;
};

/// The half of a session key that places it: `owner` NUL `client id`.
std::string session_key(std::string_view owner, std::string_view client_id);

/// The core on which a session lives.
CoreIndex home_core(HashKey key, std::string_view session_key, std::uint16_t core_count) noexcept;

class Shard {
 public:
  /// Names an attached session; 0 is none. Never reused while the server runs.
  using SessionId = std::uint64_t;

  Shard(ShardOptions options, Outside& outside);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  /// Takes part of the stored state at start, before the first turn: sessions, queues and retained
  /// messages that live on this core. Called once per record in any order within a family; families
  /// in the order sessions, subscriptions, messages, acks, inflight, retained. Records of other
  /// cores are ignored, so every shard may be shown everything. False: the record is damaged; it
  /// was skipped and the caller reports it.
  bool load(storage::Family family, std::string_view key, std::string_view value, Now now);

  /// After the last load(): arms timers, publishes wills that were waiting, tells other cores what
  /// is subscribed here. The first turn begins.
  void start(Now now);

  /// Opens or resumes the session of an accepted CONNECT, takes over an older connection (0x8E) and
  /// answers CONNACK on `link`, which must live until close() was called on it or on_closed() is
  /// told. 0: refused; CONNACK with the reason and close() have been called on the link.
  SessionId open(ConnectRequest request, session::Link& link, Now now);

  /// One complete frame of an attached session. False when the session has ended with it (close()
  /// was called on the link): whatever else was read is to be thrown away.
  bool on_frame(SessionId id, const mqtt::Frame& frame, Now now);

  /// The byte stream was not MQTT (from the FrameDecoder): DISCONNECT with the reason, then
  /// close().
  void on_violation(SessionId id, mqtt::Violation violation, Now now);

  /// The connection has ended by itself. The link is not touched any more.
  void on_closed(SessionId id, session::CloseCause cause, Now now);

  /// Output of the link went below half of limits.output_bytes_max after having been above.
  void on_output_drained(SessionId id, Now now);

  /// The credentials of the connection have ended: DISCONNECT 0x87, without its will.
  void expire(SessionId id, Now now);

  /// Memory is short and the client takes nothing: DISCONNECT 0x97. The session stays if it
  /// persists.
  void end_slow(SessionId id, Now now);

  void receive(CoreIndex from, MailBatch mail, Now now);
  void on_committed(std::uint64_t ticket, const storage::Status& status, Now now);
  /// The answer to Outside::read().
  void on_read(ReadAnswer answer, Now now);

  /// Earliest moment at which on_timer() has something to do; SteadyTime::max() when never.
  SteadyTime next_deadline() const noexcept;
  void on_timer(Now now);

  /// Ends the turn: at most one commit() and one send() per destination go out.
  void end_of_turn(Now now);
  /// True when end_of_turn() has nothing to do.
  bool turn_is_empty() const noexcept;

  // What the admin side asks; see plugin/admin_view.hpp.

  /// Ends sessions of `owner`, at most `limit` in this call; returns how many and whether it is
  /// done.
  struct DisconnectProgress {
    std::uint64_t closed = 0;
    bool done = true;
  };
  DisconnectProgress disconnect_owner(std::string_view owner, mqtt::Reason reason,
                                      std::uint32_t limit, Now now);

  /// Publishes by the server itself; see plugin::AdminView::publish(). `message.topic` is valid,
  /// and its retained message belongs on this core.
  void publish(const plugin::BrokerMessage& message, MessageStored done, Now now);

  /// Judges sessions of `owner` (empty: all) anew, in the order of their keys from behind `after`,
  /// as many as a turn may take. `ended` of them had lost a right; `next` is where the next call
  /// begins.
  struct Reevaluation {
    std::uint64_t ended = 0;
    bool done = true;
    std::string next;
  };
  Reevaluation reevaluate(std::string_view owner, const std::string& after, Now now);

  /// Ends sessions that `credential`, the serial of a certificate or the fingerprint of a key, has
  /// opened, at most `limit` in this call.
  DisconnectProgress disconnect_credential(std::string_view credential, mqtt::Reason reason,
                                           std::uint32_t limit, Now now);

  /// Ends the connection of one session, which keeps its right to come back; with `session` the
  /// session as well.
  enum class Ending : std::uint8_t { connection, session };
  plugin::AdminView::ClientOutcome end_client(const std::string& key, Ending what, Now now);

  std::vector<plugin::ClientInfo> list_clients(const plugin::AdminView::ClientQuery& query) const;

  /// Entries of each container, by name: when all clients have gone for good and nothing is
  /// retained, all are 0. For tests that look for what is forgotten.
  struct Size {
    const char* name;
    std::size_t count;
  };
  std::vector<Size> sizes() const;

  /// Ends all connections for a shutdown: DISCONNECT 0x8B, sessions stay. Wills of clients are not
  /// published: the server ended it [MQTT-3.1.2-8 lets it wait for the restart].
  void shut_down(Now now);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skerry::shard
