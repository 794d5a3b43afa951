// Shared subscriptions (MQTT 5.0 section 4.8.2). The core that owns `$share/group/filter`
// subscribes to the filter on behalf of the group, picks a member for each message, connected ones
// first, and queues once for the group while all are away. In storage the group itself is the
// recipient.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "mqtt/topic.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

constexpr Milliseconds drain_again_after{5};
/// After a member gave messages back: its queue is full, or news of it are under way.
constexpr Milliseconds drain_returned_after{20};
/// Members that are asked one after the other before a message that they refuse waits.
constexpr std::uint8_t refusals_max = 4;

}  // namespace

void Shard::Impl::tell_group(Session& session, std::string_view shared_filter, bool member,
                             GateId gate) {
  const auto parts = mqtt::split_shared(shared_filter);
  SKERRY_ASSERT(parts.has_value());
  mail::GroupMember change{.group = std::string(parts->group),
                           .filter = std::string(parts->filter),
                           .session = session.id(),
                           .durable = session.durable_id(),
                           .member = member,
                           .connected = session.connected(),
                           .gate = gate};
  if (const session::Subscription* known = session.find_subscription(shared_filter)) {
    change.options = known->options;
    change.subscription_identifier = known->identifier;
  }
  if (gate != GateId{}) {
    ++gates.find(gate)->waiting;
  }
  const CoreIndex owner = owner_of(Groups::key(change.group, change.filter));
  post(owner, std::move(change));
}

void Shard::Impl::tell_groups_connected(Session& session, bool connected) {
  if (!connected && !session.persistent()) {
    return;  // it is about to leave all its groups
  }
  for (const session::Subscription& subscription : session.subscriptions()) {
    if (mqtt::is_shared_filter(subscription.filter)) {
      const auto parts = mqtt::split_shared(subscription.filter);
      mail::GroupMember change{.group = std::string(parts->group),
                               .filter = std::string(parts->filter),
                               .session = session.id(),
                               .durable = session.durable_id(),
                               .connected = connected,
                               .options = subscription.options,
                               .subscription_identifier = subscription.identifier};
      const CoreIndex owner = owner_of(Groups::key(change.group, change.filter));
      post(owner, std::move(change));
    }
  }
}

GroupState& Shard::Impl::group_state(std::string_view group, std::string_view filter,
                                     DurableId known) {
  const std::string key = Groups::key(group, filter);
  const auto found = group_numbers.find(key);
  if (found != group_numbers.end()) {
    return group_states.at(found->second);
  }
  const DurableId number =
      known != DurableId{} ? known
                           : DurableId{options.next_id->fetch_add(1, std::memory_order_relaxed)};
  group_numbers.emplace(key, number);
  GroupState& state = group_states[number];
  state.number = number;
  state.group = group;
  state.filter = filter;
  filters.insert(filter).groups.push_back(number);
  return state;
}

void Shard::Impl::on_group_member(CoreIndex from, const mail::GroupMember& change, Now now) {
  if (!change.member) {
    const auto found = group_numbers.find(Groups::key(change.group, change.filter));
    if (found != group_numbers.end()) {
      leave_group(group_states.at(found->second), change);
    }
    return;
  }
  GroupState& state = group_state(change.group, change.filter, DurableId{});
  GateId gate;
  if (change.gate != GateId{}) {
    gate = open_gate({.purpose = Gate::Purpose::answer_other_core,
                      .answer_core = from,
                      .answer_gate = change.gate});
    ++gates.find(gate)->waiting;
  }
  if (change.durable != DurableId{} && !state.stored) {
    state.stored = true;
    store_group(state);
    if (gate != GateId{}) {
      wait_for_commit(gate);
    }
  }
  join_group(state, change, from);
  tell_interest(state.filter, *filters.find(state.filter), gate);
  if (gate != GateId{}) {
    arrive(gate, false, now);
  }
  drain_group(state, now);
}

void Shard::Impl::join_group(const GroupState& state, const mail::GroupMember& change,
                             CoreIndex from) {
  Groups::Group& group =
      groups.put_member(key_of(state), {.session = change.session,
                                        .durable = change.durable,
                                        .core = from,
                                        .connected = change.connected,
                                        .options = change.options,
                                        .subscription_identifier = change.subscription_identifier});
  std::vector<Groups::Waiting> restored;
  restored.swap(group_states.at(state.number).restored);
  for (Groups::Waiting& entry : restored) {
    if (entry.message && !group.wait(entry)) {
      drop_waiting(state, entry, DropReason::queue_full);
    }
  }
}

void Shard::Impl::leave_group(GroupState& state, const mail::GroupMember& change) {
  const Groups::Left left = groups.remove_member(key_of(state), change.session, change.durable);
  for (const Groups::Waiting& entry : left.dropped) {
    drop_waiting(state, entry, DropReason::no_member);
  }
  if (left.group_ended) {
    end_group(state);
  }
}

void Shard::Impl::store_group(const GroupState& state) {
  batch.put(storage::Family::sessions, durable_key(state.number),
            encode_group({state.group, state.filter}));
  watch_record(state.number);
}

void Shard::Impl::end_group(GroupState& state) {
  for (const Groups::Waiting& entry : state.restored) {
    drop_waiting(state, entry, DropReason::no_member);
  }
  for (const auto& [id, entry] : state.returned) {
    drop_waiting(state, entry, DropReason::no_member);
  }
  if (state.stored) {
    erase_records(state.number);
  }
  const std::string filter = state.filter;
  FilterEntry& entry = *filters.find(filter);
  std::erase(entry.groups, state.number);
  group_numbers.erase(key_of(state));
  group_states.erase(state.number);
  tell_interest(filter, entry, GateId{});
  prune(filter, entry);
}

void Shard::Impl::drop_waiting(const GroupState& state, const Groups::Waiting& entry,
                               DropReason reason) {
  counters().dropped[static_cast<int>(reason)].add();
  if (reason == DropReason::no_member) {  // the group has ended, and may have had many
    let_go(entry.stored, state.number);
  } else if (entry.stored) {
    tick_off(entry.stored, state.number);
  }
}

void Shard::Impl::deliver_group(DurableId number, InFlow& flow, Now now) {
  GroupState& state = group_states.at(number);
  if (must_queue(state, flow)) {
    let_wait(state, flow, now);
    drain_later(state, drain_again_after, now);
  } else if (!hand_to_member(state, flow, nullptr, now)) {
    let_wait(state, flow, now);
  }
}

// What came before still waits, so this one stands behind it.
bool Shard::Impl::must_queue(const GroupState& state, const InFlow& flow) {
  if (!state.stored || flow.publish.qos == mqtt::Qos::at_most_once) {
    return false;
  }
  const Groups::Group* group = groups.find(key_of(state));
  return !state.returned.empty() || (group != nullptr && group->waiting_count() > 0);
}

// `back` tells of the member that has just given it back, which is not picked again at once.
bool Shard::Impl::hand_to_member(GroupState& state, InFlow& flow, const mail::GroupReturn* back,
                                 Now now) {
  Groups::Group* group = groups.find(key_of(state));
  const routing::GroupMember* member =
      group == nullptr ? nullptr : group->pick(back == nullptr ? 0 : back->session);
  if (member == nullptr) {
    return false;
  }
  mail::GroupDeliver handed{
      .session = member->session,
      .recipient = {.id = state.number,
                    .qos = std::min(flow.publish.qos, member->options.maximum_qos),
                    .retain = member->options.retain_as_published && flow.publish.retain,
                    .subscription_identifiers = {}},
      .block = block_of(flow, now),
      .stored = state.stored ? flow.stored : nullptr,
      .refusals = back == nullptr ? std::uint8_t{0} : back->refusals};
  if (member->subscription_identifier != 0) {
    handed.recipient.subscription_identifiers.push_back(member->subscription_identifier);
  }
  if (member->core == options.index) {
    on_group_deliver(options.index, handed, now);
  } else {
    const std::size_t bytes = handed.block->size_bytes();
    post(member->core, std::move(handed), bytes);
  }
  return true;
}

void Shard::Impl::let_wait(GroupState& state, InFlow& flow, Now now) {
  Groups::Group* group = groups.find(key_of(state));
  Groups::Waiting entry{message_of(flow, now), state.stored ? flow.stored : nullptr,
                        flow.publish.qos};
  if (group == nullptr || !state.stored || flow.publish.qos == mqtt::Qos::at_most_once) {
    const bool full = group != nullptr && group->members().connected_count() > 0;
    drop_waiting(state, entry, full ? DropReason::queue_full : DropReason::no_member);
  } else if (!group->wait(entry)) {
    drop_waiting(state, entry, DropReason::queue_full);
  }
}

// It has been accepted before, so no cap holds for it; what was given out bounds it.
void Shard::Impl::keep_returned(GroupState& state, InFlow& flow, Now now) {
  if (flow.stored == nullptr || groups.find(key_of(state)) == nullptr) {
    return let_wait(state, flow, now);
  }
  state.returned.emplace(flow.stored->id,
                         Groups::Waiting{message_of(flow, now), flow.stored, flow.publish.qos});
  drain_later(state, drain_returned_after, now);
}

void Shard::Impl::drain_later(GroupState& state, Milliseconds delay, Now now) {
  if (!state.draining) {
    state.draining = true;
    groups_to_drain.push_back(state.number);
  }
  retry_at = std::min(retry_at, now.steady + delay);
}

void Shard::Impl::drain_group(GroupState& state, Now now) {
  Groups::Group* group = groups.find(key_of(state));
  if (group == nullptr || group->members().connected_count() == 0) {
    return;
  }
  std::size_t budget = state.drain_window;
  state.drain_window = std::min(2 * state.drain_window, GroupState::drain_max);
  for (; budget > 0 && !state.returned.empty(); --budget) {
    const Groups::Waiting entry = std::move(state.returned.begin()->second);
    state.returned.erase(state.returned.begin());
    hand_out(state, entry, now);
  }
  // Expiry is judged here, where what has expired can be ticked off.
  for (const Groups::Waiting& entry : group->take(budget, WallTime::min())) {
    hand_out(state, entry, now);
  }
  if (group->waiting_count() > 0 || !state.returned.empty()) {
    drain_later(state, drain_again_after, now);
  }
}

void Shard::Impl::hand_out(GroupState& state, const Groups::Waiting& entry, Now now) {
  if (entry.message->expired(now.wall)) {
    return drop_waiting(state, entry, DropReason::expired);
  }
  const mqtt::Publish view = view_now(*entry.message, now);
  InFlow flow{.publish = view,
              .block = entry.message.block(),
              .message = entry.message,
              .stored = entry.stored};
  if (!hand_to_member(state, flow, nullptr, now)) {
    keep_returned(state, flow, now);
  }
}

void Shard::Impl::drain_groups(Now now) {
  std::vector<DurableId> numbers;
  numbers.swap(groups_to_drain);
  for (const DurableId number : numbers) {
    const auto found = group_states.find(number);
    if (found != group_states.end()) {
      found->second.draining = false;
      drain_group(found->second, now);
    }
  }
}

void Shard::Impl::on_group_deliver(CoreIndex from, const mail::GroupDeliver& mail, Now now) {
  Session* session = find(mail.session);
  const bool takes = session != nullptr && session->connected() &&
                     session->queued_count() < options.limits.session_queue_messages_max / 2;
  if (!takes) {
    post(from, mail::GroupReturn{mail.recipient.id, mail.session, mail.block, mail.stored,
                                 mail.recipient.qos, static_cast<std::uint8_t>(mail.refusals + 1)});
    return;
  }
  if (!authorized(session->identity(), plugin::Action::receive, mail.block->topic(),
                  session->client_id())) {
    counters().dropped[static_cast<int>(DropReason::not_authorized)].add();
    if (mail.stored) {
      tick_off(mail.stored, mail.recipient.id);
    }
    return;
  }
  const mqtt::Publish view = view_now(*mail.block, now);
  InFlow flow{.publish = view, .block = mail.block, .stored = mail.stored};
  const Session::Match how{.qos = mail.recipient.qos,
                           .retain = mail.recipient.retain,
                           .subscription_identifiers = mail.recipient.subscription_identifiers};
  if (how.qos == mqtt::Qos::at_most_once) {
    session->deliver_at_most_once(view, how, nullptr);
    if (mail.stored) {
      tick_off(mail.stored, mail.recipient.id);
    }
    return;
  }
  deliver_to(*session, how, flow, {mail.recipient.id, mail.stored != nullptr, from}, now);
}

void Shard::Impl::on_group_return(const mail::GroupReturn& mail, Now now) {
  const auto found = group_states.find(mail.group);
  if (found == group_states.end()) {
    if (mail.stored) {
      tick_off(mail.stored, mail.group);
    }
    return;
  }
  GroupState& state = found->second;
  if (mail.block->expired(now.wall)) {  // [MQTT-3.3.2-5]
    return drop_waiting(state, {mqtt::MessagePtr(mail.block), mail.stored, mail.qos},
                        DropReason::expired);
  }
  const mqtt::Publish view = view_now(*mail.block, now);
  InFlow flow{.publish = view, .block = mail.block, .stored = mail.stored};
  // Full members would pass it round for as long as none of them reads. So it waits after a few,
  // and until one has room the queue sends one message at a time to ask.
  if (mail.refusals >= refusals_max || !hand_to_member(state, flow, &mail, now)) {
    state.drain_window = mail.refusals > 0 ? 1 : state.drain_window;
    keep_returned(state, flow, now);
  }
}

void Shard::Impl::return_to_group(Delivery& delivery, std::uint64_t session) {
  post(delivery.group_core, mail::GroupReturn{delivery.recipient, session, delivery.message.block(),
                                              std::move(delivery.stored), delivery.qos});
}

void Shard::Impl::forget_empty_groups() {
  empty_groups_at = SteadyTime::max();
  std::vector<DurableId> empty;
  for (const auto& [number, state] : group_states) {
    if (groups.find(key_of(state)) == nullptr) {
      empty.push_back(number);
    }
  }
  for (const DurableId number : empty) {
    end_group(group_states.at(number));
  }
}

}  // namespace skerry::shard
