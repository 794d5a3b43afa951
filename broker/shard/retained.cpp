// Retained messages whose topics this core keeps, and their way to new subscriptions anywhere.

#include <algorithm>
#include <utility>

#include "mqtt/topic.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

/// Messages in one slice of an answer to a wildcard and about their bytes, slices in one turn over
/// all that ask, and scans that one core works on at a time.
constexpr std::size_t slice_messages = 64;
constexpr std::size_t slice_bytes = 64 * 1024;
constexpr std::size_t slices_per_turn = 16;
constexpr std::size_t scans_max = 100'000;
/// While the mailboxes of all that wait for answers are full, or a session has no room.
constexpr Milliseconds full_again_after{5};

}  // namespace

// False: over a cap, and nothing was changed.
bool Shard::Impl::set_retained(const mqtt::BlockPtr& block, Now now) {
  if (block->payload().empty()) {  // [MQTT-3.3.1-6] [MQTT-3.3.1-7]
    retained.erase(block->topic());
    batch.erase(storage::Family::retained, block->topic());
  } else {
    const mqtt::MessagePtr old = retained.find(block->topic());
    const std::size_t bytes = retained.size_bytes() - (old ? old->size_bytes() : 0);
    const Limits& cap = options.limits;
    if ((!old && retained.count() >= cap.retained_messages_max / options.core_count + 1) ||
        bytes + block->size_bytes() > cap.retained_bytes_max / options.core_count) {
      counters().dropped[static_cast<int>(DropReason::queue_full)].add();
      return false;
    }
    const bool grows = !old || block->size_bytes() > old->size_bytes();
    if (grows && refuses(MemoryRefusal::retained)) {
      counters().dropped[static_cast<int>(DropReason::memory)].add();
      return false;
    }
    retained.set(mqtt::MessagePtr(block));  // [MQTT-3.3.1-5]
    sweep_at = std::min(sweep_at, now.steady + Seconds(1));
    std::string record;
    mqtt::encode_record(*block, record);
    batch.put(storage::Family::retained, block->topic(), record);
  }
  counters().retained_messages.set(retained.count());
  counters().retained_bytes.set(retained.size_bytes());
  return true;
}

void Shard::Impl::erase_expired_retained() {
  for (const mqtt::MessagePtr& gone : retained.take_expired()) {
    batch.erase(storage::Family::retained, gone->topic());
  }
  counters().retained_messages.set(retained.count());
  counters().retained_bytes.set(retained.size_bytes());
}

void Shard::Impl::ask_retained(mail::RetainedQuery query, Now now) {
  if (!mqtt::has_wildcard(query.filter)) {
    const CoreIndex owner = owner_of(query.filter);
    if (owner == options.index) {
      answer_retained(options.index, std::move(query), now);
    } else {
      post(owner, std::move(query));
    }
    return;
  }
  post_to_others([&] { return query; });
  answer_retained(options.index, std::move(query), now);
}

void Shard::Impl::answer_retained(CoreIndex to, mail::RetainedQuery query, Now) {
  if (retained.count() == 0) {
    return;
  }
  // A SUBSCRIBE that repeats a filter while its answer is under way gets no second one.
  if (scans.ready.size() >= scans_max || !scans.known.emplace(query.session, query.filter).second) {
    counters().dropped[static_cast<int>(DropReason::queue_full)].add();
    return;
  }
  scans.ready.push_back({to, std::move(query), {}});
}

// The session of this core whose subscription still stands [MQTT-3.10.4-2]; null when it does not.
session::Session* Shard::Impl::find_subscriber(std::uint64_t id, std::string_view filter) {
  Session* const session = find(id);
  return session == nullptr || session->find_subscription(filter) == nullptr ? nullptr : session;
}

// A few slices a turn, each scan in its turn, so that neither a wildcard over a million topics nor
// a thousand of them stop anybody. And one slice of a scan at a time: the next one is made when the
// session has taken it, so a client that does not read makes nobody hold the answer for it.
void Shard::Impl::step_retained_scans(Now now) {
  const std::size_t steps = std::min(slices_per_turn, scans.ready.size());
  std::size_t held_up = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    RetainedScans::Scan scan = std::move(scans.ready.front());
    scans.ready.pop_front();
    if (scan.to == options.index &&
        find_subscriber(scan.query.session, scan.query.filter) == nullptr) {
      scans.known.erase(RetainedScans::key_of(scan));
    } else if (outside.mailbox_full(scan.to)) {
      ++held_up;
      scans.ready.push_back(std::move(scan));
    } else {
      step_retained_scan(std::move(scan), now);
    }
  }
  // Turn after turn until the other core has read its mail would be a core at full load for
  // nothing.
  scans.held_up = held_up == steps;
  if (scans.held_up && !scans.ready.empty()) {
    retry_at = std::min(retry_at, now.steady + full_again_after);
  }
  erase_expired_retained();
}

void Shard::Impl::step_retained_scan(RetainedScans::Scan scan, Now now) {
  mail::RetainedSlice slice{.filter = scan.query.filter,
                            .session = scan.query.session,
                            .qos = scan.query.qos,
                            .subscription_identifier = scan.query.subscription_identifier,
                            .blocks = {}};
  scan.before = scan.cursor;
  std::size_t bytes = 0;
  for (const mqtt::MessagePtr& message :
       retained.match(scan.query.filter, scan.cursor, slice_messages, now.wall,
                      std::min(slice_bytes, output_bytes_max() / 4))) {
    bytes += message->size_bytes();
    slice.blocks.push_back(message.block());
  }
  RetainedScans::Key key = RetainedScans::key_of(scan);
  if (slice.blocks.empty()) {
    if (scan.cursor.done()) {
      scans.known.erase(key);
    } else {
      scans.ready.push_back(std::move(scan));
    }
    return;
  }
  const CoreIndex to = scan.to;
  scans.sliced.emplace(std::move(key), std::move(scan));
  if (to == options.index) {
    take_retained(to, slice, now);
  } else {
    post(to, std::move(slice), bytes);
  }
}

void Shard::Impl::take_retained(CoreIndex from, const mail::RetainedSlice& slice, Now now) {
  using Wish = mail::RetainedNext::Wish;
  Session* const session = find_subscriber(slice.session, slice.filter);
  mail::RetainedNext answer{slice.filter, slice.session, Wish::none};
  if (session == nullptr) {
    answer_slice(from, std::move(answer), now);
    return;
  }
  answer.wish = session->has_room_for_retained() ? Wish::next : Wish::again;
  if (answer.wish == Wish::next) {
    deliver_retained(*session, slice, now);
  }
  if (session->has_room_for_retained()) {
    answer_slice(from, std::move(answer), now);
  } else {
    scans.held.push_back({from, std::move(answer)});
    retry_at = std::min(retry_at, now.steady + full_again_after);
  }
}

void Shard::Impl::answer_slice(CoreIndex to, mail::RetainedNext answer, Now now) {
  if (to == options.index) {
    on_retained_next(std::move(answer), now);
  } else {
    post(to, std::move(answer));
  }
}

void Shard::Impl::on_retained_next(mail::RetainedNext answer, Now) {
  using Wish = mail::RetainedNext::Wish;
  auto waiting = scans.sliced.extract({answer.session, answer.filter});
  if (waiting.empty()) {
    return;
  }
  RetainedScans::Scan scan = std::move(waiting.mapped());
  if (answer.wish == Wish::again) {
    scan.cursor = scan.before;
  }
  if (answer.wish == Wish::none || scan.cursor.done()) {
    scans.known.erase(waiting.key());
    return;
  }
  scans.ready.push_back(std::move(scan));
  scans.held_up = false;
}

void Shard::Impl::answer_held_slices(Now now) {
  for (std::size_t left = scans.held.size(); left > 0; --left) {
    auto [to, answer] = std::move(scans.held.front());
    scans.held.pop_front();
    const Session* const session = find_subscriber(answer.session, answer.filter);
    if (session == nullptr) {
      answer.wish = mail::RetainedNext::Wish::none;
    } else if (!session->has_room_for_retained()) {
      scans.held.push_back({to, std::move(answer)});
      continue;
    }
    answer_slice(to, std::move(answer), now);
  }
  if (!scans.held.empty()) {
    retry_at = std::min(retry_at, now.steady + full_again_after);
  }
}

void Shard::Impl::deliver_retained(Session& session, const mail::RetainedSlice& slice, Now now) {
  const std::span<const std::uint32_t> identifiers(&slice.subscription_identifier,
                                                   slice.subscription_identifier != 0 ? 1u : 0u);
  for (const mqtt::BlockPtr& block : slice.blocks) {
    // A right that was lost since it was retained counts, too.
    if (block->expired(now.wall) || !authorized(session.identity(), plugin::Action::receive,
                                                block->topic(), session.client_id())) {
      continue;
    }
    const mqtt::Publish view = view_now(*block, now);
    InFlow flow{.publish = view, .block = block};
    const Session::Match how{.qos = std::min(slice.qos, block->qos()),
                             .retain = true,  // section 3.3.1.3
                             .subscription_identifiers = identifiers};
    if (how.qos == mqtt::Qos::at_most_once) {
      session.deliver_at_most_once(view, how, nullptr);
      continue;
    }
    const DurableId durable = session.durable_id();
    // While space is low it waits in memory only: it was not acknowledged to anybody as queued. But
    // see stored_at_last().
    const bool stores = durable != DurableId{} && !refused_for_space(true);
    if (stores) {
      flow.stored = store_for(session, block,
                              {durable, how.qos, true, {identifiers.begin(), identifiers.end()}});
    }
    deliver_to(session, how, flow, {durable, stores}, now);
  }
}

}  // namespace skerry::shard
