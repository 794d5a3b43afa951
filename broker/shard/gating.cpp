// Gates and storage of a shard: what waits for a commit, what a commit lets go, and how recipients
// tick off stored messages.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

/// How long what could not be stored waits, unless something else is stored before.
constexpr Milliseconds store_again_after{500};

/// A store that was away for a minute leaves many: so many go into the batch of one turn.
constexpr std::size_t stored_again_per_turn = 512;

}  // namespace

GateId Shard::Impl::open_gate(Gate gate) {
  return gates.add(std::move(gate));
}

void Shard::Impl::wait_for_commit(GateId gate) {
  Gate* found = gates.find(gate);
  SKERRY_ASSERT(found != nullptr);
  ++found->waiting;
  waiting_for_commit.push_back({.ticket = next_ticket, .gate = gate});
}

void Shard::Impl::arrive(GateId id, bool failed, Now now) {
  Gate* gate = gates.find(id);
  if (gate == nullptr) {
    return;
  }
  SKERRY_ASSERT(gate->waiting > 0);
  gate->failed = gate->failed || failed;
  if (--gate->waiting == 0) {
    pass(id, now);
  }
}

// QoS 2 messages of one publisher leave in the order in which they came, though the answers and
// commits they wait for may come in another [MQTT-4.6.0-5].
void Shard::Impl::pass(GateId id, Now now) {
  Gate& gate = *gates.find(id);
  const Publication* publication = gate.publication.get();
  const auto line =
      publication != nullptr && publication->hold ? held.find(publication->session) : held.end();
  if (line == held.end()) {
    return finish_gate(id, now);
  }
  gate.ready = true;
  Ring<GateId>& waiting = line->second;
  while (!waiting.empty() && gates.find(waiting.front())->ready) {
    const GateId next = waiting.front();
    waiting.pop_front();
    if (gates.find(next)->failed && !hears_refusal(line->first)) {
      // It will come again, and what followed it, too: that must not be delivered before.
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        gates.find(waiting[i])->failed = true;
      }
    }
    finish_gate(next, now);
  }
  if (waiting.empty()) {
    held.erase(line);
  }
}

bool Shard::Impl::hears_refusal(SessionId publisher) {
  const Session* session = find(publisher);
  return session != nullptr && session->connected() && session->version() == mqtt::Version::v5;
}

void Shard::Impl::finish_gate(GateId id, Now now) {
  Gate gate = gates.take(id);
  if (gate.publication && gate.publication->stored) {
    Stored& stored = *gate.publication->stored;
    stored.state.store(gate.failed ? Stored::State::failed : Stored::State::committed,
                       std::memory_order_release);
  }
  if (gate.publication && gate.publication->ticket != 0 && gate.failed) {
    take_back(*gate.publication);
  }
  if (gate.publication && gate.publication->hold && !gate.failed) {
    deliver_held(*gate.publication, now);
  }
  if (gate.purpose == Gate::Purpose::answer_other_core) {
    post(gate.answer_core, mail::Done{gate.answer_gate, gate.failed ? storage::StatusCode::full
                                                                    : storage::StatusCode::ok});
    return;
  }
  if (gate.purpose == Gate::Purpose::broker_message) {
    broker_message_stored(id, gate.failed);
    return;
  }
  if (gate.purpose == Gate::Purpose::will) {
    const bool was_written = gate.publication && gate.publication->ticket != 0;
    will_passed(id, gate.failed && was_written, now);
    return;
  }
  Session* session = find(gate.session);
  if (session == nullptr) {
    return;
  }
  // Only now: what another core publishes from here on comes by itself, what it published before is
  // with the keeper of its topic, and the connection is open.
  for (mail::RetainedQuery& query : gate.queries) {
    ask_retained(std::move(query), now);
  }
  const GateResult result = gate.failed ? GateResult::failed : GateResult::passed;
  switch (gate.purpose) {
    case Gate::Purpose::acknowledgement:
      session->open_acknowledgement(id, result, now);
      break;
    case Gate::Purpose::outbound_stored:
      session->outbound_stored(gate.packet_id, result, now);
      break;
    case Gate::Purpose::released_stored:
      session->released_stored(gate.packet_id, result, now);
      break;
    case Gate::Purpose::answer_other_core:
    case Gate::Purpose::broker_message:
    case Gate::Purpose::will:
      break;
  }
}

// Packet ids of refused messages go once storage is well again.
void Shard::Impl::erase_doubtful_ids() {
  for (const auto& [owner, packet_id] : std::exchange(doubtful_ids, {})) {
    batch.erase(storage::Family::inflight, inbound_key(owner, packet_id));
    waiting_for_commit.push_back(
        {.ticket = next_ticket, .id = owner, .write = Write::refused_id, .packet_id = packet_id});
  }
}

// The record was stored (or a failed commit may have left it all the same), but something else that
// belonged to the message was not: its publisher hears a refusal, so nothing of it may come back
// after a restart.
void Shard::Impl::take_back(const Publication& publication) {
  if (!publication.stored->recipients.empty()) {
    remove_message(publication.stored);
  }
  if (publication.packet_id_owner != DurableId{}) {
    doubtful_ids.emplace(publication.packet_id_owner, publication.packet_id);
  }
}

void Shard::Impl::on_committed(std::uint64_t ticket, const storage::Status& status, Now now) {
  if (!status.ok()) {
    counters().commit_failures.add();
    // A disk that is full for a minute ends every turn's batch so: one line a second is enough.
    if (now.steady >= failure_told_at + Seconds(1)) {
      failure_told_at = now.steady;
      outside.log(3, "storing failed", "", status.detail);
    }
  }
  while (!waiting_for_commit.empty() && waiting_for_commit.front().ticket <= ticket) {
    TicketWaiter waiter = std::move(waiting_for_commit.front());
    waiting_for_commit.pop_front();
    if (waiter.write == Write::gated) {
      arrive(waiter.gate, !status.ok(), now);
    } else if (status.ok()) {
      on_written(waiter);
    } else {
      on_write_failed(waiter, now);
    }
  }
  if (status.ok()) {
    erase_doubtful_ids();
  }
  retry_tick_offs();
}

void Shard::Impl::on_written(TicketWaiter& waiter) {
  if (waiter.write == Write::record) {
    pending_erasures.on_stored(waiter.id, waiter.ticket);
  }
  if (waiter.write == Write::message) {
    waiter.stored->state.store(Stored::State::committed, std::memory_order_release);
  }
  const bool ticks = waiter.write == Write::tick_off || waiter.write == Write::released;
  if (ticks && waiter.stored->recipients.size() > 1 &&
      waiter.stored->remaining.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    remove_message(waiter.stored);
  }
}

void Shard::Impl::on_write_failed(TicketWaiter& waiter, Now now) {
  const bool ticks = waiter.write == Write::tick_off || waiter.write == Write::released;
  if (ticks && waiter.stored->recipients.size() > 1) {
    doubtful_acks.insert(ack_key(waiter.stored->id, waiter.id));
  }
  switch (waiter.write) {
    case Write::gated:
    case Write::released:
      return;
    case Write::message:
      waiter.stored->state.store(Stored::State::failed, std::memory_order_release);
      remove_message(waiter.stored);  // it may be on disk all the same
      return;
    case Write::tick_off:
    case Write::removal:
    case Write::forget:
      unstored.push_back(std::move(waiter));
      break;
    case Write::record:
      unstored_records.insert(waiter.id);
      break;
    case Write::refused_id:
      doubt_again(waiter.id, waiter.packet_id);
      return;
  }
  store_again_at = std::min(store_again_at, now.steady + store_again_after);
}

// Unless the id is that of another message by now.
void Shard::Impl::doubt_again(DurableId owner, mqtt::PacketId packet_id) {
  Session* session = find_durable(owner);
  if (session == nullptr) {
    return;  // its records go together
  }
  const std::vector<mqtt::PacketId>& used = session->inbound_ids();
  if (std::find(used.begin(), used.end(), packet_id) == used.end()) {
    doubtful_ids.emplace(owner, packet_id);
  }
}

void Shard::Impl::store_again(Now now) {
  store_again_at = SteadyTime::max();
  for (std::size_t left = stored_again_per_turn; left > 0 && !unstored.empty(); --left) {
    const TicketWaiter waiter = std::move(unstored.front());
    unstored.pop_front();
    if (waiter.write == Write::removal) {
      remove_message(waiter.stored);
    } else if (waiter.write == Write::forget) {
      forget_again(waiter.id, waiter.packet_id);
    } else {
      tick_off(waiter.stored, waiter.id);
    }
  }
  for (std::size_t left = stored_again_per_turn; left > 0 && !unstored_records.empty(); --left) {
    const DurableId id = *unstored_records.begin();
    unstored_records.erase(unstored_records.begin());
    const auto group = group_states.find(id);
    if (Session* session = find_durable(id)) {
      store_session(*session, session->connected(), now);
      store_subscriptions(*session);
    } else if (group != group_states.end()) {
      store_group(group->second);
    } else {
      erase_records(id);
    }
  }
  if (!unstored.empty() || !unstored_records.empty()) {
    store_again_at = now.steady;  // the rest with the next turns
  }
}

// All recipients are done and their records are on disk: message and records go together.
void Shard::Impl::remove_message(const StoredPtr& stored) {
  batch.erase(storage::Family::messages, message_key(stored->id));
  for (const DurableId recipient : stored->recipients) {
    batch.erase(storage::Family::acks, ack_key(stored->id, recipient));
  }
  waiting_for_commit.push_back({.ticket = next_ticket, .stored = stored, .write = Write::removal});
}

void Shard::Impl::tick_off(const StoredPtr& stored, DurableId recipient, Write write) {
  switch (stored->state.load(std::memory_order_acquire)) {
    case Stored::State::pending:
      // A deletion must not overtake the message on its way to disk, or it would come back.
      early_tick_offs.push_back({stored, recipient});
      return;
    case Stored::State::failed:
      return;
    case Stored::State::committed:
      break;
  }
  if (stored->recipients.size() == 1) {
    batch.erase(storage::Family::messages, message_key(stored->id));
  } else {
    const std::string key = ack_key(stored->id, recipient);
    if (doubtful_acks.erase(key) > 0) {
      batch.erase(storage::Family::acks, key);
    }
    batch.put(storage::Family::acks, key, {});
  }
  waiting_for_commit.push_back(
      {.ticket = next_ticket, .stored = stored, .id = recipient, .write = write});
}

void Shard::Impl::retry_tick_offs() {
  std::vector<TickOff> again;
  again.swap(early_tick_offs);
  for (const TickOff& entry : again) {
    tick_off(entry.stored, entry.recipient);
  }
}

void Shard::Impl::finish(Session&, Delivery& delivery) {
  if (delivery.stored) {
    tick_off(delivery.stored, delivery.recipient);
    delivery.stored.reset();
  }
}

MessageId Shard::Impl::next_message_id() {
  return MessageId{options.next_id->fetch_add(1, std::memory_order_relaxed)};
}

GateId Shard::Impl::release_inbound(Session& from, mqtt::PacketId packet_id) {
  if (from.durable_id() == DurableId{}) {
    return {};
  }
  batch.erase(storage::Family::inflight, inbound_key(from.durable_id(), packet_id));
  const GateId gate = open_gate({.session = from.id()});
  wait_for_commit(gate);
  return gate;
}

GateId Shard::Impl::store_outbound(Session& session, Delivery& delivery) {
  if (session.durable_id() == DurableId{}) {
    // It came by a group, and nobody else may get it when this session ends [MQTT-4.8.2-6], be it
    // with the server: it leaves the group's record before it is sent.
    tick_off(std::exchange(delivery.stored, nullptr), delivery.recipient);
  } else {
    if (delivery.stored->state.load(std::memory_order_acquire) == Stored::State::failed) {
      // Its packet id would be forgotten at the next start, there being no message.
      SKERRY_ASSERT(delivery.message && delivery.recipient == session.durable_id());
      delivery.stored = store_for(
          session, delivery.message.block(),
          {delivery.recipient, delivery.qos, delivery.retain, delivery.subscription_identifiers});
    }
    batch.put(storage::Family::inflight, outbound_key(session.durable_id(), delivery.packet_id),
              encode_outbound(OutboundState::sent, delivery.stored->id, delivery.recipient));
  }
  const GateId gate = open_gate({.purpose = Gate::Purpose::outbound_stored,
                                 .session = session.id(),
                                 .packet_id = delivery.packet_id});
  wait_for_commit(gate);
  return gate;
}

GateId Shard::Impl::store_released(Session& session, const Delivery& delivery) {
  if (session.durable_id() == DurableId{} || !delivery.stored) {
    if (delivery.stored) {
      tick_off(delivery.stored, delivery.recipient);
    }
    return {};
  }
  batch.put(storage::Family::inflight, outbound_key(session.durable_id(), delivery.packet_id),
            encode_outbound(OutboundState::released, delivery.stored->id, delivery.recipient));
  tick_off(delivery.stored, delivery.recipient, Write::released);
  const GateId gate = open_gate({.purpose = Gate::Purpose::released_stored,
                                 .session = session.id(),
                                 .packet_id = delivery.packet_id});
  wait_for_commit(gate);
  return gate;
}

void Shard::Impl::forget_outbound(Session& session, mqtt::PacketId packet_id) {
  if (session.durable_id() != DurableId{}) {
    batch.erase(storage::Family::inflight, outbound_key(session.durable_id(), packet_id));
    waiting_for_commit.push_back({.ticket = next_ticket,
                                  .id = session.durable_id(),
                                  .write = Write::forget,
                                  .packet_id = packet_id});
  }
}

void Shard::Impl::forget_again(DurableId id, mqtt::PacketId packet_id) {
  Session* session = find_durable(id);
  if (session == nullptr) {
    return;  // its records have gone together
  }
  for (std::size_t i = 0; i < session->inflight().size(); ++i) {
    const Delivery& delivery = session->inflight()[i];
    if (delivery.packet_id == packet_id && delivery.qos == mqtt::Qos::exactly_once) {
      return;  // the record is that of another message by now
    }
  }
  forget_outbound(*session, packet_id);
}

StoredPtr Shard::Impl::store_for(Session& session, const mqtt::BlockPtr& block,
                                 const Recipient& recipient) {
  auto stored = std::make_shared<Stored>();
  stored->id = next_message_id();
  stored->recipients.push_back(session.durable_id());
  stored->remaining.store(1, std::memory_order_relaxed);
  batch.put(storage::Family::messages, message_key(stored->id),
            encode_message_record(recipient, *block));
  waiting_for_commit.push_back({.ticket = next_ticket, .stored = stored, .write = Write::message});
  return stored;
}

}  // namespace skerry::shard
