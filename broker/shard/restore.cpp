// Restoring a shard at start. Every shard is shown every record and keeps what lives on its core;
// the RestoreTable holds what they must agree on. See records.hpp for the layout.

#include <algorithm>
#include <utility>

#include "base/byte_order.hpp"
#include "mqtt/topic.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

/// How long restored groups may be without members before they are taken for left over.
constexpr Seconds empty_groups_grace{10};

/// Nothing becomes due before all cores have told each other what is subscribed.
constexpr Seconds start_grace{1};

DurableId durable_at(std::string_view key, std::size_t offset = 0) {
  return DurableId{read_big_endian<std::uint64_t>(key.substr(offset))};
}

/// The shared record of a message that is found again.
const StoredPtr& stored_of(RestoreTable::Entry& entry, MessageId id) {
  if (!entry.stored) {
    entry.stored = session::make_stored(id, entry.sole);
  }
  return entry.stored;
}

}  // namespace

std::shared_ptr<RestoreTable> make_restore_table() {
  return std::make_shared<RestoreTable>();
}

void Shard::Impl::note_id(std::uint64_t id) noexcept {
  std::uint64_t next = options.next_id->load(std::memory_order_relaxed);
  while (next <= id && !options.next_id->compare_exchange_weak(next, id + 1)) {
  }
}

bool Shard::Impl::load(storage::Family family, std::string_view key, std::string_view value,
                       Now now) {
  if (options.restore == nullptr) {
    options.restore = make_restore_table();
  }
  switch (family) {
    case storage::Family::sessions:
      return key.size() == 8 && load_session(key, value, now);
    case storage::Family::subscriptions: {
      if (key.size() <= 8) {
        return false;
      }
      session::Subscription subscription{.filter = std::string(key.substr(8))};
      if (!decode_subscription(value, subscription) ||
          !mqtt::is_valid_topic_filter(subscription.filter)) {
        return false;
      }
      if (Session* session = find_durable(durable_at(key))) {
        session->subscriptions().push_back(std::move(subscription));
        ++subscription_count;
      }
      return true;
    }
    case storage::Family::messages:
      return key.size() == 8 && load_message(key, value);
    case storage::Family::acks:
      return key.size() == 16 && load_ack(key);
    case storage::Family::inflight:
      return key.size() == 11 && load_inflight(key, value);
    case storage::Family::retained: {
      if (owner_of(key) != options.index) {
        return true;
      }
      mqtt::BlockPtr block = mqtt::decode_record(value);
      if (!block || block->topic() != key) {
        return false;
      }
      retained.set(mqtt::MessagePtr(std::move(block)));
      return true;
    }
    case storage::Family::meta:
    case storage::Family::registry:
    case storage::Family::series:
    case storage::Family::series_latest:
    case storage::Family::documents:
    case storage::Family::admin:
    case storage::Family::series_log:
    case storage::Family::series_chunks:
    case storage::Family::series_rollups:
    case storage::Family::count_:
      return true;
  }
  return true;
}

bool Shard::Impl::load_session(std::string_view key, std::string_view value, Now now) {
  const DurableId durable = durable_at(key);
  note_id(durable.value);
  options.restore->owners.insert(durable);
  if (is_group_record(value)) {
    const auto record = decode_group(value);
    if (!record) {
      return false;
    }
    if (owner_of(Groups::key(record->group, record->filter)) == options.index) {
      group_state(record->group, record->filter, durable).stored = true;
    }
    return true;
  }
  auto record = decode_session(value);
  if (!record) {
    return false;
  }
  const std::string name = session_key(record->identity.owner(), record->client_id);
  if (home_core(options.hash_key, name, options.core_count) != options.index) {
    return true;
  }
  if (sessions.contains(name)) {
    return false;  // two records of one session: the directory is damaged
  }
  const ConnectRequest request{.identity = record->identity, .client_id = record->client_id};
  Session& session = create_session(request, now);
  credentials.add(session);
  session.set_durable_id(durable);
  session.set_introduced();
  by_durable.emplace(durable, &session);
  session.set_expiry_seconds(record->expiry_seconds);
  // One that was connected when the server went down was cut off just now.
  const WallTime since = record->connected ? now.wall : std::min(record->disconnected_at, now.wall);
  quiet_until = now.steady + start_grace;
  session.expires_at =
      std::max(quiet_until, now.steady + Seconds(record->expiry_seconds) - (now.wall - since));
  if (record->will) {
    auto will = std::make_unique<session::StoredWill>();
    will->block = std::move(record->will);
    will->delay_seconds = record->will_delay_seconds;
    will->message_expiry_seconds = record->will_expiry_seconds;
    session.will_due_at = now.steady + Seconds(will->delay_seconds) - (now.wall - since);
    session.set_will(std::move(will));
  }
  return true;
}

bool Shard::Impl::load_message(std::string_view key, std::string_view value) {
  const MessageId id{read_big_endian<std::uint64_t>(key)};
  note_id(id.value);
  auto [at, added] = options.restore->messages.try_emplace(id);
  RestoreTable::Entry& entry = at->second;
  if (added) {
    auto record = decode_message_record(value);
    if (!record) {
      options.restore->messages.erase(at);
      return false;
    }
    entry.size_bytes = static_cast<std::uint32_t>(record->block->size_bytes());
    entry.expires_seconds = session::expires_seconds_of(*record->block);
    if (record->recipients.size() == 1) {
      entry.sole = record->recipients.front().id;
    } else {
      entry.stored = std::make_shared<Stored>();
      entry.stored->id = id;
      entry.stored->state.store(Stored::State::committed, std::memory_order_relaxed);
      for (const Recipient& recipient : record->recipients) {
        entry.stored->recipients.push_back(recipient.id);
      }
    }
  }
  if (entry.sole != DurableId{}) {
    restore_for(entry, id, entry.sole, value);
    return true;
  }
  for (const DurableId recipient : entry.stored->recipients) {
    restore_for(entry, id, recipient, value);
  }
  return true;
}

void Shard::Impl::restore_for(RestoreTable::Entry& entry, MessageId id, DurableId recipient,
                              std::string_view record) {
  Session* session = find_durable(recipient);
  const auto group = session == nullptr ? group_states.find(recipient) : group_states.end();
  if (session == nullptr && group == group_states.end()) {
    return;  // of another core, or gone
  }
  entry.wanted = true;
  if (entry.sole == DurableId{}) {
    entry.stored->remaining.fetch_add(1, std::memory_order_relaxed);
  }
  const std::optional<MessageRecord> message = decode_message_record(record);
  const auto qos = [&] {
    for (const Recipient& each : message->recipients) {
      if (each.id == recipient) {
        return each.qos;
      }
    }
    return mqtt::Qos::at_least_once;
  };
  if (session != nullptr) {
    session->restore_queued({.stored = entry.sole == DurableId{} ? entry.stored : nullptr,
                             .id = id,
                             .size_bytes = entry.size_bytes,
                             .expires_seconds = entry.expires_seconds,
                             .qos = qos()});
    return;
  }
  if (!entry.block) {
    entry.block = message->block;
  }
  group->second.restored.push_back({mqtt::MessagePtr(entry.block), stored_of(entry, id), qos()});
}

bool Shard::Impl::load_ack(std::string_view key) {
  const MessageId message{read_big_endian<std::uint64_t>(key)};
  const DurableId recipient = durable_at(key, 8);
  const auto found = options.restore->messages.find(message);
  if (found == options.restore->messages.end()) {
    if (options.index == CoreIndex{0}) {
      options.restore->orphan_acks.emplace_back(key);
    }
    return true;
  }
  if (find_durable(recipient) != nullptr || group_states.contains(recipient)) {
    if (found->second.sole == DurableId{}) {
      found->second.stored->remaining.fetch_sub(1, std::memory_order_relaxed);
    } else {
      found->second.wanted = false;
    }
    restored_acks[recipient].insert(message.value);
  }
  return true;
}

bool Shard::Impl::load_inflight(std::string_view key, std::string_view value) {
  Session* session = find_durable(durable_at(key));
  if (options.index == CoreIndex{0} && !options.restore->owners.contains(durable_at(key))) {
    batch.erase(storage::Family::inflight, key);  // of a session that has ended
    return true;
  }
  const mqtt::PacketId packet_id{read_big_endian<std::uint16_t>(key.substr(9))};
  if (key[8] == 'i') {
    if (session != nullptr) {
      session->inbound_ids().push_back(packet_id);
    }
    return true;
  }
  const auto outbound = decode_outbound(value);
  if (key[8] != 'o' || !outbound) {
    return false;
  }
  return session == nullptr || load_outbound(*session, packet_id, *outbound);
}

bool Shard::Impl::load_outbound(Session& session, mqtt::PacketId packet_id,
                                const Outbound& outbound) {
  const auto found = options.restore->messages.find(outbound.message);
  if (outbound.state == OutboundState::released) {
    session.restore_inflight({.packet_id = packet_id,
                              .qos = mqtt::Qos::exactly_once,
                              .state = Delivery::State::released});
    return true;  // its message was ticked off in the same batch
  }
  const auto is_recipient = [&] {
    const RestoreTable::Entry& entry = found->second;
    if (entry.sole != DurableId{}) {
      return entry.sole == outbound.recipient;
    }
    const std::vector<DurableId>& all = entry.stored->recipients;
    return std::find(all.begin(), all.end(), outbound.recipient) != all.end();
  };
  if (found == options.restore->messages.end() || !is_recipient()) {
    batch.erase(storage::Family::inflight, outbound_key(session.durable_id(), packet_id));
    return true;
  }
  // The message waits in this session's queue, or in that of a shared group on whatever core.
  if (outbound.recipient == session.durable_id()) {
    restored_acks[outbound.recipient].insert(outbound.message.value);
  } else {
    options.restore->in_flight.emplace(outbound.message.value, outbound.recipient.value);
  }
  // Message, retain flag and subscription identifiers are read when the client is back.
  session.restore_inflight({.stored = stored_of(found->second, outbound.message),
                            .recipient = outbound.recipient,
                            .packet_id = packet_id,
                            .qos = mqtt::Qos::exactly_once,
                            .state = Delivery::State::sent});
  return true;
}

void Shard::Impl::start(Now now) {
  for (auto& [number, state] : group_states) {
    const std::set<std::uint64_t>& done = restored_acks[number];
    const std::uint64_t group = number.value;
    std::erase_if(state.restored, [&](const Groups::Waiting& entry) {
      return done.contains(entry.stored->id.value) ||
             (options.restore != nullptr &&
              options.restore->in_flight.contains({entry.stored->id.value, group}));
    });
    tell_interest(state.filter, *filters.find(state.filter), GateId{});
  }
  empty_groups_at = group_states.empty() ? SteadyTime::max() : now.steady + empty_groups_grace;
  std::vector<Session*> restored;
  for (const auto& [key, session] : sessions) {
    restored.push_back(session.get());
  }
  for (Session* session : restored) {
    start_session(*session, now);
  }
  for (Session* session : restored) {  // rights may have ended while nobody was there to notice
    judge_again(*session, now);
  }
  restored_acks.clear();
  if (options.index == CoreIndex{0} && options.restore != nullptr) {
    clean_up_restored();
  }
  options.restore.reset();
  post_to_others([] { return mail::Started{}; });
  sweep_at = retained.count() > 0 ? now.steady : SteadyTime::max();
  expiry_at = sessions.empty() ? SteadyTime::max() : now.steady + Seconds(1);
  reset_session_counters();
  counters().subscriptions.set(filters.size());
  counters().retained_messages.set(retained.count());
  counters().retained_bytes.set(retained.size_bytes());
}

void Shard::Impl::start_session(Session& session, Now) {
  const auto acks = restored_acks.find(session.durable_id());
  if (acks != restored_acks.end()) {
    session.remove_restored(acks->second);
  }
  std::sort(session.inbound_ids().begin(), session.inbound_ids().end());
  session.restore_order();
  for (const session::Subscription& subscription : session.subscriptions()) {
    if (mqtt::is_shared_filter(subscription.filter)) {
      tell_group(session, subscription.filter, true, GateId{});
    } else {
      add_subscriber(session, subscription, 0);
      tell_interest(subscription.filter, *filters.find(subscription.filter), GateId{});
    }
  }
  arm(session);
}

// Messages that nobody waits for any more: their deletion was under way when the server went down.
void Shard::Impl::clean_up_restored() {
  for (const auto& [id, entry] : options.restore->messages) {
    const bool single = entry.sole != DurableId{};
    if (single ? entry.wanted : entry.stored->remaining.load(std::memory_order_relaxed) != 0) {
      continue;
    }
    batch.erase(storage::Family::messages, message_key(id));
    if (!single) {
      for (const DurableId recipient : entry.stored->recipients) {
        batch.erase(storage::Family::acks, ack_key(id, recipient));
      }
    }
  }
  for (const std::string& key : options.restore->orphan_acks) {
    batch.erase(storage::Family::acks, key);
  }
}

}  // namespace skerry::shard
