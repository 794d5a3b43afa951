// SUBSCRIBE and UNSUBSCRIBE on a shard: the trie of this core, what the other cores are told, and
// the answer, which waits until every core knows and a persistent session's subscription is on
// disk.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "mqtt/codec.hpp"
#include "mqtt/topic.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {

std::string_view inner_filter(std::string_view filter) {
  const auto shared = mqtt::is_shared_filter(filter) ? mqtt::split_shared(filter) : std::nullopt;
  return shared ? shared->filter : filter;
}

void Shard::Impl::subscribe(Session& from, const mqtt::Subscribe& packet, Now now) {
  mqtt::Suback suback;
  suback.packet_id = packet.packet_id;
  GateId gate = open_gate({.session = from.id()});
  ++gates.find(gate)->waiting;  // ours: nothing passes before all filters are looked at
  for (const mqtt::SubscribeFilter& wanted : packet.filters) {  // [MQTT-3.8.4-5]
    suback.reasons.push_back(subscribe_one(from, wanted, packet.subscription_identifier, gate));
  }
  if (from.durable_id() != DurableId{}) {
    wait_for_commit(gate);
  }
  std::string frame;
  mqtt::encode(suback, from.version(), frame);  // [MQTT-3.8.4-6]
  if (gates.find(gate)->waiting == 1) {
    for (mail::RetainedQuery& query : gates.take(gate).queries) {
      ask_retained(std::move(query), now);
    }
    gate = {};
  } else {
    --gates.find(gate)->waiting;
  }
  watch_congestion(from, now);
  from.answer(mqtt::PacketType::suback, std::move(frame), gate, now);
}

mqtt::Reason Shard::Impl::subscribe_one(Session& from, const mqtt::SubscribeFilter& wanted,
                                        std::uint32_t identifier, GateId gate) {
  const std::string_view inner = inner_filter(wanted.filter);
  std::uint64_t covered = 0;
  const plugin::Decision decision =
      judge(from.identity(), plugin::Action::subscribe, inner, from.client_id());
  if (!decision.allowed()) {
    return mqtt::Reason::not_authorized;
  }
  if (decision.verdict == plugin::Verdict::allow_and_covers) {
    covered = options.authorizer->epoch();
  }
  session::Subscription* known = from.find_subscription(wanted.filter);
  const bool is_new = known == nullptr;
  const bool is_stored =
      !is_new &&
      encode_subscription(*known) ==
          encode_subscription({.filter = {}, .options = wanted.options, .identifier = identifier});
  // Clients repeat their subscriptions when they come back: that takes no space.
  if (refused_for_space(from.durable_id() != DurableId{} && !is_stored)) {
    return mqtt::Reason::quota_exceeded;
  }
  if (is_new) {
    std::size_t bytes = wanted.filter.size();
    for (const session::Subscription& subscription : from.subscriptions()) {
      bytes += subscription.filter.size();
    }
    if (from.subscriptions().size() >= options.limits.subscriptions_per_session_max ||
        bytes > filter_bytes_per_session_max ||
        subscription_count >= options.limits.subscriptions_max / options.core_count + 1 ||
        refuses(MemoryRefusal::subscription)) {
      return mqtt::Reason::quota_exceeded;
    }
    ++subscription_count;
    known = &from.subscriptions().emplace_back();
    known->filter = wanted.filter;
  }
  known->options = wanted.options;  // [MQTT-3.8.4-3]: the new one replaces the old one
  known->identifier = identifier;
  if (from.durable_id() != DurableId{}) {
    batch.put(storage::Family::subscriptions, subscription_key(from.durable_id(), known->filter),
              encode_subscription(*known));
  }
  const auto granted = static_cast<mqtt::Reason>(wanted.options.maximum_qos);
  if (mqtt::is_shared_filter(wanted.filter)) {
    tell_group(from, known->filter, true, gate);
    return granted;
  }
  if (!is_new) {
    remove_subscriber(from, known->filter);
  }
  add_subscriber(from, *known, covered);
  tell_interest(known->filter, *filters.find(known->filter), gate);
  const std::uint8_t handling = wanted.options.retain_handling;
  if (handling == 0 || (handling == 1 && is_new)) {  // [MQTT-3.3.1-9] … [MQTT-3.3.1-11]
    gates.find(gate)->queries.push_back({.filter = known->filter,
                                         .session = from.id(),
                                         .qos = known->options.maximum_qos,
                                         .subscription_identifier = identifier});
  }
  return granted;
}

void Shard::Impl::add_subscriber(Session& session, const session::Subscription& subscription,
                                 std::uint64_t covered_at_epoch) {
  FilterEntry& entry = filters.insert(subscription.filter);
  entry.subscribers.push_back(
      {&session, subscription.options, subscription.identifier, covered_at_epoch});
  entry.durable_count += session.durable_id() != DurableId{} ? 1 : 0;
}

bool Shard::Impl::remove_subscriber(Session& session, std::string_view filter) {
  FilterEntry* entry = filters.find(filter);
  if (entry == nullptr) {
    return false;
  }
  const auto found =
      std::find_if(entry->subscribers.begin(), entry->subscribers.end(),
                   [&](const Subscriber& subscriber) { return subscriber.session == &session; });
  if (found == entry->subscribers.end()) {
    return false;
  }
  *found = entry->subscribers.back();
  entry->subscribers.pop_back();
  entry->durable_count -= session.durable_id() != DurableId{} ? 1 : 0;
  return true;
}

// Of a subscription that is no shared one: those are judged at each delivery.
void Shard::Impl::set_cover(const Session& session, std::string_view filter, std::uint64_t epoch) {
  FilterEntry* entry = mqtt::is_shared_filter(filter) ? nullptr : filters.find(filter);
  if (entry == nullptr) {
    return;
  }
  for (Subscriber& subscriber : entry->subscribers) {
    if (subscriber.session == &session) {
      subscriber.covered_at_epoch = epoch;
      return;
    }
  }
}

void Shard::Impl::drop_subscription(Session& session, const session::Subscription& subscription) {
  if (mqtt::is_shared_filter(subscription.filter)) {
    tell_group(session, subscription.filter, false, GateId{});
    return;
  }
  if (remove_subscriber(session, subscription.filter)) {
    FilterEntry& entry = *filters.find(subscription.filter);
    tell_interest(subscription.filter, entry, GateId{});
    prune(subscription.filter, entry);
  }
}

void Shard::Impl::unsubscribe(Session& from, const mqtt::Unsubscribe& packet, Now now) {
  mqtt::Unsuback unsuback;
  unsuback.packet_id = packet.packet_id;
  for (const std::string_view filter : packet.filters) {
    const session::Subscription* known = from.find_subscription(filter);
    if (from.durable_id() != DurableId{}) {  // an unknown one, too: its removal may have failed
      batch.erase(storage::Family::subscriptions, subscription_key(from.durable_id(), filter));
    }
    if (known == nullptr) {
      unsuback.reasons.push_back(mqtt::Reason::no_subscription_existed);
      continue;
    }
    const session::Subscription gone = *known;
    std::erase_if(from.subscriptions(),
                  [&](const session::Subscription& s) { return s.filter == filter; });
    --subscription_count;
    drop_subscription(from, gone);  // [MQTT-3.10.4-1] [MQTT-3.10.4-2]
    unsuback.reasons.push_back(mqtt::Reason::success);
  }
  GateId gate;
  if (from.durable_id() != DurableId{}) {
    gate = open_gate({.session = from.id()});
    wait_for_commit(gate);
  }
  std::string frame;
  mqtt::encode(unsuback, from.version(), frame);  // [MQTT-3.10.4-4] [MQTT-3.10.4-5]
  watch_congestion(from, now);
  from.answer(mqtt::PacketType::unsuback, std::move(frame), gate, now);
}

// Tells the other cores when the first subscriber of a filter comes, the last goes, or that changes
// for persistent ones. `gate`, when set, waits for their answers: a publish that begins after the
// SUBACK must find its way on every core.
void Shard::Impl::tell_interest(std::string_view filter, FilterEntry& entry, GateId gate) {
  const bool present = !entry.subscribers.empty() || !entry.groups.empty();
  bool durable = entry.durable_count > 0;
  for (const DurableId group : entry.groups) {
    const auto state = group_states.find(group);
    durable = durable || (state != group_states.end() && state->second.stored);
  }
  const bool changed = present != entry.told || durable != entry.told_durable;
  entry.told = present;
  entry.told_durable = durable;
  if (options.core_count == 1 || (!changed && gate == GateId{})) {
    return;
  }
  // Without a change the question still goes out when somebody waits: an earlier subscriber's news
  // may not have arrived yet, and mail keeps its order.
  post_to_others([&] { return mail::Interest{std::string(filter), present, durable, gate}; });
  if (gate != GateId{}) {
    gates.find(gate)->waiting += options.core_count - 1u;
  }
}

void Shard::Impl::prune(std::string_view filter, FilterEntry& entry) {
  if (entry.subscribers.empty() && entry.groups.empty()) {
    filters.erase(filter);
  }
}

}  // namespace skerry::shard
