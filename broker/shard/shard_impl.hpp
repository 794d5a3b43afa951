// Shard::Impl: the state of one core and what it does, file by file; README.md says what is where.
#pragma once

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ring.hpp"
#include "routing/retained_store.hpp"
#include "routing/shared_groups.hpp"
#include "routing/topic_trie.hpp"
#include "session/host.hpp"
#include "session/session.hpp"
#include "shard/credential_index.hpp"
#include "shard/gates.hpp"
#include "shard/pending_erasures.hpp"
#include "shard/publish_path.hpp"
#include "shard/reading.hpp"
#include "shard/records.hpp"
#include "shard/restore_table.hpp"
#include "shard/retained_scans.hpp"
#include "shard/shard.hpp"
#include "shard/timer_queue.hpp"
#include "storage/batch.hpp"

namespace skerry::shard {

using session::CloseCause;
using session::Delivery;
using session::GateResult;
using session::PublishOutcome;
using session::Session;

/// One subscription as the trie holds it.
struct Subscriber {
  Session* session = nullptr;
  mqtt::SubscriptionOptions options;
  std::uint32_t identifier = 0;
  /// Policy epoch at which the authorizer said that the whole filter may be received; 0: ask.
  std::uint64_t covered_at_epoch = 0;
};

/// What this core has at one filter, and what it has told the others about it.
struct FilterEntry {
  std::vector<Subscriber> subscribers;
  std::vector<DurableId> groups;
  std::uint32_t durable_count = 0;
  bool told = false;
  bool told_durable = false;
};

using Groups = routing::SharedGroups<StoredPtr>;

/// A shared group whose owner is this core. Its number stands for it as a recipient in storage.
struct GroupState {
  DurableId number;
  std::string group;
  std::string filter;
  bool stored = false;  ///< its record is on disk, since it has (or had) persistent members
  std::vector<Groups::Waiting> restored;  ///< read at start, until the first member is back
  /// What members gave back, oldest first: it goes out before what waits in the group's queue.
  std::map<MessageId, Groups::Waiting> returned;
  bool draining = false;  ///< stands in groups_to_drain
  static constexpr std::size_t drain_max = 256;
  std::size_t drain_window = drain_max;  ///< messages of the queue that one turn hands out
};

/// What a filter is matched with: `$share/{group}/` cut off.
std::string_view inner_filter(std::string_view filter);

/// The owner's half of a session key.
inline std::string_view owner_part(std::string_view key) {
  return key.substr(0, key.find('\0'));
}

struct Shard::Impl final : session::Host {
  Impl(ShardOptions given, Outside& world);
  ~Impl();

  // session::Host
  void pump_later(Session& session) override { to_pump.push_back(session.id()); }
  const Limits& limits() const noexcept override { return options.limits; }
  Counters& counters() noexcept override { return *options.counters; }
  std::size_t output_bytes_max() const noexcept override {
    const std::size_t cap = options.limits.output_bytes_max;
    return options.memory == nullptr ? cap : options.memory->allowance(cap, output_bytes_least);
  }
  /// Under pressure a queue may hold what an output may: of a larger cap the share would not bite
  /// before publishers are refused.
  std::size_t memory_queue_bytes_max() const noexcept override {
    const std::size_t cap = options.limits.session_queue_bytes_max;
    return pressure() == MemoryBudget::Level::calm
               ? std::numeric_limits<std::size_t>::max()
               : options.memory->allowance(std::min(cap, options.limits.output_bytes_max),
                                           queue_bytes_least);
  }
  MemoryBudget::Level pressure() const noexcept {
    return options.memory == nullptr ? MemoryBudget::Level::calm : options.memory->level();
  }
  /// Nothing new may begin; counts what was refused.
  bool refuses(MemoryRefusal what, MemoryBudget::Level from = MemoryBudget::Level::pressed) {
    if (pressure() < from) {
      return false;
    }
    counters().memory_refused[static_cast<int>(what)].add();
    return true;
  }
  PublishOutcome publish(Session& from, const mqtt::Publish& packet, Now now) override;
  GateId release_inbound(Session& from, mqtt::PacketId packet_id) override;
  void subscribe(Session& from, const mqtt::Subscribe& packet, Now now) override;
  void unsubscribe(Session& from, const mqtt::Unsubscribe& packet, Now now) override;
  GateId store_outbound(Session& session, Delivery& delivery) override;
  GateId store_released(Session& session, const Delivery& delivery) override;
  void forget_outbound(Session& session, mqtt::PacketId packet_id) override;
  void finish(Session& session, Delivery& delivery) override;
  void read_back(Session& session) override;
  void page_soon(Session& session) override;
  void end_connection(Session& session, mqtt::Reason reason, const char* what, CloseCause cause,
                      Now now) override;
  void client_disconnected(Session& session, bool publish_will, Now now) override;

  // connections.cpp
  SessionId open(ConnectRequest request, session::Link& link, Now now);
  SessionId refuse(session::Link& link, mqtt::Version version, mqtt::Reason reason,
                   const char* what);
  void drop_undelivered(const std::string& key);  ///< for TestFaults::drop_on_takeover alone
  const char* no_room_for(const mqtt::Connect& connect, const std::string& key);
  Session& create_session(const ConnectRequest& request, Now now);
  session::IdentityPtr shared_identity(const plugin::Identity& identity);
  void adopt(Session& session, const ConnectRequest& request, const mqtt::Connect& connect,
             bool present, session::Link& link, Now now);
  std::string connack_for(const Session& session, const ConnectRequest& request,
                          const mqtt::Connect& connect, std::uint16_t keep_alive,
                          bool present) const;
  void detach(Session& session, bool keep_will, Now now);
  void tell_connected(const plugin::Identity& identity, const std::string& address, Now now);
  void tell_disconnected(const plugin::Identity& identity, CloseCause cause, Now now);
  void write_farewell(Session& session, mqtt::Reason reason, const char* what);
  void store_session(Session& session, bool connected, Now now);
  void store_subscriptions(const Session& session);
  void erase_records(DurableId id);
  void remove_session(Session& session, bool publish_will, Now now);
  Session* find(SessionId id) noexcept;
  Session* find_durable(DurableId id) noexcept;
  void reset_session_counters();

  // wills.cpp
  void publish_will(Session& session, Now now);
  void route_will(const Session& session, std::unique_ptr<session::StoredWill> will, Now now);
  struct WillOnItsWay {
    plugin::Identity identity;
    std::unique_ptr<session::StoredWill> will;
    DurableId record;  ///< under which it stands on disk; 0: in the batch of its message
    bool erased_when_passed = false;
  };
  static std::string name_of_will(DurableId record);
  void store_will_record(const WillOnItsWay& entry, Now now);
  void erase_will_record(WillOnItsWay& entry);
  void will_written(GateId gate);
  void will_passed(GateId gate, bool refused, Now now);
  std::unordered_map<GateId, WillOnItsWay> wills_on_their_way;

  // publish.cpp
  Interests interests_of(std::string_view topic, PublishPath* path = nullptr);
  plugin::Decision judge(const plugin::Identity& identity, plugin::Action action,
                         std::string_view topic, std::string_view client);
  bool authorized(const plugin::Identity& identity, plugin::Action action, std::string_view topic,
                  std::string_view client) {
    return judge(identity, action, topic, client).allowed();
  }
  bool may_publish(Session& from, const mqtt::Publish& packet, PublishPath* path);
  plugin::TapResult tap(const Session& from, const mqtt::Publish& packet, Now now);
  PublishOutcome settle(GateId gate);
  mqtt::Publish view_now(const mqtt::MessageBlock& block, Now now) const;
  struct RouteOptions {
    Session* from = nullptr;  ///< null: the server
    bool stored_by_tap = false;
    GateId gate;  ///< open already; it hears of a retained message at QoS 0 as well
    PublishPath* path = nullptr;
  };
  GateId route(const mqtt::Publish& packet, const RouteOptions& how, Now now);
  GateId route_stored(InFlow& flow, Session* from, Interests cores, GateId gate, Now now);
  GateId gate_for(Session* from, GateId existing);
  void write_publication(Gate& gate, GateId id);
  void write_in_turn(Gate& gate, GateId id);
  void write_next(SessionId publisher, Now now);
  void on_answer(GateId id, bool failed, Now now);
  void deliver_held(Publication& publication, Now now);
  bool wants_storage(Interests cores) const;

  // space.cpp: what is refused while disk space is low.
  bool takes_space(const Session& from, const mqtt::Publish& packet);
  bool opens_durable(const ConnectRequest& request, const mqtt::Connect& connect) const;
  bool refused_for_space(bool takes) {
    const bool refused = takes && outside.space_low();
    counters().durable_refused.add(refused ? 1 : 0);
    return refused;
  }

  // letting_go.cpp: the end of long queues, in slices.
  void let_go(std::uint64_t session, Ring<Delivery> deliveries);
  void let_go(const StoredPtr& stored, DurableId recipient);
  void step_letting_go();
  void release(Delivery& delivery, std::uint64_t session);
  void step_expiry(Now now);
  void step_pumps(Now now);
  bool has_slices() const noexcept {
    return !leaving.empty() || !late_tick_offs.empty() || !to_pump.empty() || !abandoned.empty();
  }

  // broker_message.cpp
  void publish_by_broker(const plugin::BrokerMessage& message, MessageStored done, Now now);
  void broker_message_stored(GateId gate, bool failed);

  // standing.cpp
  plugin::Standing standing_of(const plugin::Identity& identity, Now now);
  bool judge_again(Session& session, Now now);
  bool judge_subscriptions(Session& session, Now now);
  bool end_right(Session& session, plugin::Standing::State state, Now now);
  std::size_t judged_deliveries = 0;  ///< in this call of reevaluate()
  void drop_unreceivable(Session& session);
  void end_session(Session& session, mqtt::Reason reason, CloseCause cause, Now now);

  // deliver.cpp
  void collect(const InFlow& flow);
  void collect_entry(FilterEntry& entry, const InFlow& flow);
  void collect_subscriber(Subscriber& subscriber, const InFlow& flow);
  void deliver_matches(InFlow& flow, const std::vector<Recipient>* by_record, Now now);
  void deliver_group_matches(InFlow& flow, const std::vector<Recipient>* by_record, Now now);
  /// Whom a delivery is ticked off for, and through which group it came.
  struct Via {
    DurableId recipient;
    bool stored = false;
    CoreIndex group_core = session::no_core;
  };
  void deliver_to(Session& session, const Session::Match& match, InFlow& flow, Via via, Now now);
  StoredPtr stored_at_last(Session& session, const Session::Match& match, InFlow& flow, Now now);
  const mqtt::BlockPtr& block_of(InFlow& flow, Now now);
  const mqtt::MessagePtr& message_of(InFlow& flow, Now now);
  void append_recipients(mqtt::Qos published, std::vector<Recipient>& out);
  void deliver_recipients(InFlow& flow, const std::vector<Recipient>& recipients, Now now);

  // subscribe.cpp
  mqtt::Reason subscribe_one(Session& from, const mqtt::SubscribeFilter& wanted,
                             std::uint32_t identifier, GateId gate);
  void add_subscriber(Session& session, const session::Subscription& subscription,
                      std::uint64_t covered_at_epoch);
  bool remove_subscriber(Session& session, std::string_view filter);
  void set_cover(const Session& session, std::string_view filter, std::uint64_t epoch);
  void drop_subscription(Session& session, const session::Subscription& subscription);
  void tell_interest(std::string_view filter, FilterEntry& entry, GateId gate);
  void prune(std::string_view filter, FilterEntry& entry);

  // retained.cpp
  bool set_retained(const mqtt::BlockPtr& block, Now now);
  void erase_expired_retained();
  void ask_retained(mail::RetainedQuery query, Now now);
  void answer_retained(CoreIndex to, mail::RetainedQuery query, Now now);
  Session* find_subscriber(std::uint64_t id, std::string_view filter);
  void step_retained_scans(Now now);
  void step_retained_scan(RetainedScans::Scan scan, Now now);
  void take_retained(CoreIndex from, const mail::RetainedSlice& slice, Now now);
  void deliver_retained(Session& session, const mail::RetainedSlice& slice, Now now);
  void answer_slice(CoreIndex to, mail::RetainedNext answer, Now now);
  void on_retained_next(mail::RetainedNext answer, Now now);
  void answer_held_slices(Now now);

  // groups.cpp
  void tell_group(Session& session, std::string_view shared_filter, bool member, GateId gate);
  void on_group_member(CoreIndex from, const mail::GroupMember& change, Now now);
  void deliver_group(DurableId group, InFlow& flow, Now now);
  void drain_group(GroupState& state, Now now);
  void drain_later(GroupState& state, Milliseconds delay, Now now);
  void hand_out(GroupState& state, const Groups::Waiting& entry, Now now);
  bool must_queue(const GroupState& state, const InFlow& flow);
  void drain_groups(Now now);
  void join_group(const GroupState& state, const mail::GroupMember& change, CoreIndex from);
  void leave_group(GroupState& state, const mail::GroupMember& change);
  void on_group_deliver(CoreIndex from, const mail::GroupDeliver& mail, Now now);
  void on_group_return(const mail::GroupReturn& mail, Now now);
  void return_to_group(Delivery& delivery, std::uint64_t session);
  void tell_groups_connected(Session& session, bool connected);
  GroupState& group_state(std::string_view group, std::string_view filter, DurableId known);
  void store_group(const GroupState& state);
  void end_group(GroupState& state);
  void drop_waiting(const GroupState& state, const Groups::Waiting& entry, DropReason reason);
  bool hand_to_member(GroupState& state, InFlow& flow, const mail::GroupReturn* back, Now now);
  void let_wait(GroupState& state, InFlow& flow, Now now);
  void keep_returned(GroupState& state, InFlow& flow, Now now);
  void forget_empty_groups();
  static std::string key_of(const GroupState& state) {
    return Groups::key(state.group, state.filter);
  }

  // gating.cpp
  GateId open_gate(Gate gate);
  void wait_for_commit(GateId gate);
  /// One thing the gate waited for has come.
  void arrive(GateId gate, bool failed, Now now);
  void pass(GateId id, Now now);
  void finish_gate(GateId id, Now now);
  bool hears_refusal(SessionId publisher);
  void take_back(const Publication& publication);
  void tick_off(const StoredPtr& stored, DurableId recipient) {
    tick_off(stored, recipient, Write::tick_off);
  }
  void retry_tick_offs();
  /// Puts what earlier batches failed to store into this one.
  void store_again(Now now);
  void watch_record(DurableId id) {
    waiting_for_commit.push_back({.ticket = next_ticket, .id = id, .write = Write::record});
  }
  void on_committed(std::uint64_t ticket, const storage::Status& status, Now now);
  MessageId next_message_id();
  StoredPtr store_for(Session& session, const mqtt::BlockPtr& block, const Recipient& recipient);

  // paging.cpp
  void page_sessions(Now now);
  void start_reads();
  void on_read(ReadAnswer answer, Now now);
  void take_back(Session& session, ReadAnswer::Message& message);
  void retry_reads();
  void abandon(DurableId owner, std::deque<session::Paged> messages);
  void tick_off_abandoned();
  Ring<SessionId> to_page;            ///< hold more in memory than they should
  Ring<SessionId> to_read;            ///< wait for a free read
  std::vector<SessionId> read_again;  ///< after a failure
  std::size_t reads_open = 0;
  struct Abandoned {
    DurableId owner;
    std::deque<session::Paged> messages;
  };
  std::deque<Abandoned> abandoned;  ///< what waited on disk for sessions that are gone
  SteadyTime last_turn{};

  // post.cpp
  CoreIndex owner_of(std::string_view name) const noexcept;
  void post(CoreIndex to, Mail mail, std::size_t bytes = 64);
  template <typename MakeMail>
  void post_to_others(MakeMail make) {
    for (std::uint16_t core = 0; core < options.core_count; ++core) {
      if (core != options.index.value) {
        post(CoreIndex{core}, make());
      }
    }
  }
  void receive(CoreIndex from, Mail& item, Now now);
  void on_matched(const mail::Matched& mail, CoreIndex from, Now now);
  void on_release(mail::Release& mail, Now now);
  void on_retain(CoreIndex from, const mail::Retain& mail, Now now);
  void on_interest(CoreIndex from, const mail::Interest& mail);
  void on_publish_mail(CoreIndex from, mail::Publish& mail, Now now);
  void resume_paused(Now now);
  SteadyTime next_deadline() const noexcept;
  void end_of_turn(Now now);
  void watch_congestion(Session& session, Now now);

  // timers.cpp
  void arm(Session& session);
  void rebuild_timers();
  void on_timer(Now now);
  void check_session(Session& session, Now now);

  // restore.cpp
  bool load(storage::Family family, std::string_view key, std::string_view value, Now now);
  bool load_session(std::string_view key, std::string_view value, Now now);
  bool load_message(std::string_view key, std::string_view value);
  bool load_ack(std::string_view key);
  bool load_inflight(std::string_view key, std::string_view value);
  bool load_outbound(Session& session, mqtt::PacketId packet_id, const Outbound& outbound);
  void start(Now now);
  void clean_up_restored();
  void start_session(Session& session, Now now);
  void restore_for(RestoreTable::Entry& entry, MessageId id, DurableId recipient,
                   std::string_view record);
  std::unordered_map<DurableId, std::set<std::uint64_t>> restored_acks;
  int cores_starting = 0;                      ///< that have not told yet what is subscribed there
  SteadyTime quiet_until = SteadyTime::min();  ///< after a start: no timer of a session before
  void note_id(std::uint64_t id) noexcept;

  ShardOptions options;
  Outside& outside;
  storage::Batch batch;           ///< of this turn
  std::uint64_t next_ticket = 1;  ///< that `batch` will get

  // Sessions, sorted by key so that those of one owner stand together.
  std::map<std::string_view, std::unique_ptr<Session>> sessions;
  session::IdentityPtr last_identity;  ///< of shared_identity()
  std::unordered_map<SessionId, Session*> by_id;
  Session* found_last = nullptr;  ///< by find(): the frames of one read are all one session's
  std::unordered_map<DurableId, Session*> by_durable;
  std::size_t subscription_count = 0;  ///< of all these sessions
  CredentialIndex credentials;         ///< which sessions a certificate or key has opened
  std::vector<std::unique_ptr<Session>> graveyard;  ///< removed in this turn
  TimerQueue timers;

  routing::TopicTrie<FilterEntry> filters;
  routing::TopicTrie<Interests> interests;
  std::uint64_t interests_version = 1;  ///< grows with each change of them
  routing::RetainedStore retained;
  Groups groups;
  std::unordered_map<DurableId, GroupState> group_states;
  std::map<std::string, DurableId, std::less<>> group_numbers;  ///< by key of the group
  SteadyTime empty_groups_at = SteadyTime::max();  ///< when restored groups must have members

  GateTable gates;
  /// What a batch brought to disk, so that a failure can be made good.
  enum class Write : std::uint8_t {
    gated,       ///< whoever waits for the gate hears of a failure
    message,     ///< for one session; it stays in memory when that failed
    tick_off,    ///< recipient `id` has the message
    released,    ///< the same, told again by its client's next PUBREC
    removal,     ///< all recipients have it
    record,      ///< record of the session or group `id`, or its removal
    forget,      ///< session `id` has no use for the record of its packet id any more
    refused_id,  ///< an inbound packet id of session `id` whose message was refused
  };
  struct TicketWaiter {
    std::uint64_t ticket;
    GateId gate;
    StoredPtr stored;
    DurableId id;
    Write write = Write::gated;
    mqtt::PacketId packet_id;
  };
  void tick_off(const StoredPtr& stored, DurableId recipient, Write write);
  void remove_message(const StoredPtr& stored);
  void on_written(TicketWaiter& waiter);
  void on_write_failed(TicketWaiter& waiter, Now now);
  Ring<TicketWaiter> waiting_for_commit;
  void erase_doubtful_ids();
  void doubt_again(DurableId owner, mqtt::PacketId packet_id);
  /// Inbound packet ids of refused messages, whose records may be on disk all the same.
  std::set<std::pair<DurableId, mqtt::PacketId>> doubtful_ids;
  /// Keys of tick-offs whose batch failed: they may be on disk all the same, and a second put of a
  /// key of that family is not allowed.
  std::set<std::string> doubtful_acks;
  Ring<TicketWaiter> unstored;  ///< tick-offs and removals that failed
  void forget_again(DurableId id, mqtt::PacketId packet_id);
  PendingErasures pending_erasures;
  std::set<DurableId> unstored_records;  ///< sessions and groups that differ from their records
  SteadyTime store_again_at = SteadyTime::max();
  /// Messages of each publisher whose records are not written yet: they go to disk in this order.
  std::unordered_map<SessionId, Ring<GateId>> unwritten;
  /// QoS 2 messages of each publisher that wait for storage: they are delivered in this order.
  std::unordered_map<SessionId, Ring<GateId>> held;
  struct TickOff {
    StoredPtr stored;
    DurableId recipient;
  };
  /// Queues of sessions that have ended, and what groups that have ended had waiting.
  struct Leaving {
    std::uint64_t session;
    Ring<Delivery> deliveries;
  };
  Ring<Leaving> leaving;
  Ring<TickOff> late_tick_offs;
  std::vector<SessionId> to_pump;  ///< have more to do than a turn should take
  std::string expiry_from;         ///< key of the session at which step_expiry() goes on
  SteadyTime expiry_at = SteadyTime::max();
  std::vector<TickOff> early_tick_offs;  ///< acknowledged before the message itself was stored

  std::unordered_map<GateId, MessageStored> broker_messages;  ///< whom their gates answer

  RetainedScans scans;

  // Work space of one fan-out.
  struct Matched {
    Session* session;
    mqtt::Qos qos;  ///< of the subscription, not yet lowered to the publisher's
    bool retain;
    std::vector<std::uint32_t> identifiers;
  };
  std::vector<Matched> matched;
  std::vector<DurableId> matched_groups;
  std::uint64_t match_serial = 0;
  session::FrameCache frames;

  std::vector<MailBatch> outbox;
  std::vector<Mail> own_mail;  ///< to this core itself: handled before the turn ends
  std::vector<DurableId> groups_to_drain;
  std::vector<SessionId> paused;            ///< not read while storage or mailboxes are behind
  SteadyTime retry_at = SteadyTime::max();  ///< for early_tick_offs and paused sessions
  SteadyTime sweep_at = SteadyTime::max();  ///< next look for expired retained messages
  std::uint64_t denials_in_second = 0;
  WallTime denial_second{};
  SteadyTime failure_told_at{};  ///< when a failed commit was logged last
};

}  // namespace skerry::shard
