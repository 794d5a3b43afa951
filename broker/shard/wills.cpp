// Wills on their way: a will leaves the record of its session in the batch that holds its message.
// One whose message could not be stored is tried again, also that of a session without a record.
//
// That batch is written when other cores have said who matches there, a turn or more after the
// session let go of its will, and by then the session may have another will or be gone. Until then
// the will stands in a record of its own: a session that has ended and that nobody can name, since
// a client id holds no NUL [MQTT-1.5.4-2]. After a crash that session ends, and its will with it.

#include <string>
#include <utility>

#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

/// How long a will waits that could not be stored.
constexpr Seconds will_again_after{1};

}  // namespace

void Shard::Impl::publish_will(Session& session, Now now) {
  std::unique_ptr<session::StoredWill> will = session.take_will();
  session.will_due_at = SteadyTime::max();
  if (standing_of(session.identity(), now).valid() &&
      authorized(session.identity(), plugin::Action::publish, will->block->topic(),
                 session.client_id())) {
    route_will(session, std::move(will), now);
  }
  if (session.durable_id() != DurableId{} && !session.connected()) {
    store_session(session, false, now);  // without the will
  }
}

void Shard::Impl::route_will(const Session& session, std::unique_ptr<session::StoredWill> will,
                             Now now) {
  mqtt::Publish publish = will->block->view();
  if (will->message_expiry_seconds != 0) {
    publish.properties.message_expiry_interval = will->message_expiry_seconds;
  }
  const plugin::TapVerdict tapped = tap(session, publish, now).verdict;
  if (tapped == plugin::TapVerdict::rejected || tapped == plugin::TapVerdict::busy) {
    return;
  }
  counters().wills_published.add();
  const GateId gate = open_gate({.purpose = Gate::Purpose::will});
  ++gates.find(gate)->waiting;  // ours: it does not pass while the will is being routed
  route(publish, {.stored_by_tap = tapped == plugin::TapVerdict::stored, .gate = gate}, now);
  const Gate& open = *gates.find(gate);
  if (open.waiting > 1) {
    WillOnItsWay on_its_way{.identity = session.identity(), .will = std::move(will), .record = {}};
    const bool kept_elsewhere = publish.retain && owner_of(publish.topic) != options.index;
    const bool asked = open.publication && open.publication->answers_missing != 0;
    if (session.durable_id() != DurableId{} && (kept_elsewhere || asked)) {
      on_its_way.record = DurableId{options.next_id->fetch_add(1, std::memory_order_relaxed)};
      on_its_way.erased_when_passed = kept_elsewhere && !open.publication;
      store_will_record(on_its_way, now);
    }
    wills_on_their_way.emplace(gate, std::move(on_its_way));
  }
  arrive(gate, false, now);
}

std::string Shard::Impl::name_of_will(DurableId record) {
  return std::string(1, '\0') + "will-" + std::to_string(record.value);
}

void Shard::Impl::store_will_record(const WillOnItsWay& entry, Now now) {
  const SessionRecord record{.identity = entry.identity,
                             .client_id = name_of_will(entry.record),
                             .disconnected_at = now.wall,
                             .will = entry.will->block,
                             .will_expiry_seconds = entry.will->message_expiry_seconds};
  batch.put(storage::Family::sessions, durable_key(entry.record), encode_session(record));
  watch_record(entry.record);
}

// Its message is in this batch, and what another core keeps retained is on disk. Without a message
// of its own the will goes when it has passed: a copy that is kept twice is the same.
void Shard::Impl::will_written(GateId gate) {
  const auto found = wills_on_their_way.find(gate);
  if (found != wills_on_their_way.end() && !found->second.erased_when_passed) {
    erase_will_record(found->second);
  }
}

void Shard::Impl::erase_will_record(WillOnItsWay& entry) {
  if (entry.record != DurableId{}) {
    batch.erase(storage::Family::sessions, durable_key(entry.record));
    watch_record(entry.record);
    entry.record = DurableId{};
  }
}

void Shard::Impl::will_passed(GateId gate, bool refused, Now now) {
  const auto found = wills_on_their_way.find(gate);
  if (found == wills_on_their_way.end()) {
    return;
  }
  WillOnItsWay entry = std::move(found->second);
  wills_on_their_way.erase(found);
  erase_will_record(entry);
  if (!refused) {
    return;
  }
  // It was promised at CONNECT and could not be stored: a session that ends soon tries again.
  const DurableId record{options.next_id->fetch_add(1, std::memory_order_relaxed)};
  Session& again = create_session(
      {.identity = std::move(entry.identity), .client_id = name_of_will(record)}, now);
  credentials.add(again);
  again.set_durable_id(record);
  by_durable.emplace(record, &again);
  again.set_will(std::move(entry.will));
  again.expires_at = now.steady + will_again_after;
  store_session(again, false, now);
  arm(again);
  reset_session_counters();
}

}  // namespace skerry::shard
