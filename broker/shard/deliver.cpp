// Fan-out on one core: who matches, merged to one delivery per session, and how each gets it.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {

const mqtt::BlockPtr& Shard::Impl::block_of(InFlow& flow, Now now) {
  if (!flow.block) {
    flow.block = mqtt::make_block(flow.publish, now.wall);
  }
  return flow.block;
}

const mqtt::MessagePtr& Shard::Impl::message_of(InFlow& flow, Now now) {
  if (!flow.message) {
    flow.message = mqtt::MessagePtr(block_of(flow, now));
  }
  return flow.message;
}

void Shard::Impl::collect(const InFlow& flow) {
  matched.clear();
  matched_groups.clear();
  ++match_serial;
  PublishPath* const path = flow.path;
  if (path != nullptr && path->filters_version != filters.version()) {
    path->entries.clear();
    filters.match(flow.publish.topic, [&](FilterEntry& entry) { path->keep(entry); });
    path->filters_version = filters.version();
  }
  if (path != nullptr && !path->overflows()) {
    for (FilterEntry* entry : path->entries) {
      collect_entry(*entry, flow);
    }
  } else {
    filters.match(flow.publish.topic, [&](FilterEntry& entry) { collect_entry(entry, flow); });
  }
  counters().matched.add(matched.size());
}

void Shard::Impl::collect_entry(FilterEntry& entry, const InFlow& flow) {
  for (Subscriber& subscriber : entry.subscribers) {
    collect_subscriber(subscriber, flow);
  }
  matched_groups.insert(matched_groups.end(), entry.groups.begin(), entry.groups.end());
}

void Shard::Impl::collect_subscriber(Subscriber& subscriber, const InFlow& flow) {
  Session& session = *subscriber.session;
  if (subscriber.options.no_local && session.client_hash() == flow.publisher) {  // [MQTT-3.8.3-3]
    return;
  }
  const bool covered =
      options.authorizer == nullptr || (subscriber.covered_at_epoch != 0 &&
                                        subscriber.covered_at_epoch == options.authorizer->epoch());
  if (!covered && !authorized(session.identity(), plugin::Action::receive, flow.publish.topic,
                              session.client_id())) {
    counters().dropped[static_cast<int>(DropReason::not_authorized)].add();
    return;
  }
  const bool retain = subscriber.options.retain_as_published && flow.publish.retain;
  if (session.match_serial == match_serial) {  // overlapping filters: one copy, the highest QoS
    Matched& match = matched[session.match_index];  // [MQTT-3.3.4-2] [MQTT-3.3.4-4]
    match.qos = std::max(match.qos, subscriber.options.maximum_qos);
    match.retain = match.retain || retain;
    if (subscriber.identifier != 0) {
      match.identifiers.push_back(subscriber.identifier);
    }
    return;
  }
  session.match_serial = match_serial;
  session.match_index = static_cast<std::uint32_t>(matched.size());
  Matched& match = matched.emplace_back();
  match.session = &session;
  match.qos = subscriber.options.maximum_qos;
  match.retain = retain;
  if (subscriber.identifier != 0) {
    match.identifiers.push_back(subscriber.identifier);
  }
}

void Shard::Impl::append_recipients(mqtt::Qos published, std::vector<Recipient>& out) {
  for (const Matched& match : matched) {
    const mqtt::Qos qos = std::min(match.qos, published);
    if (match.session->durable_id() != DurableId{} && qos != mqtt::Qos::at_most_once) {
      out.push_back({match.session->durable_id(), qos, match.retain, match.identifiers});
    }
  }
  for (const DurableId group : matched_groups) {
    const auto state = group_states.find(group);
    if (state != group_states.end() && state->second.stored) {
      out.push_back({.id = group, .qos = published, .subscription_identifiers = {}});
    }
  }
}

// `by_record`, when set, names those who get the message by its stored record: persistent sessions
// and groups of these are left out here.
void Shard::Impl::deliver_matches(InFlow& flow, const std::vector<Recipient>* by_record, Now now) {
  const mqtt::Qos published = flow.publish.qos;
  session::FrameCache* cache = nullptr;
  if (matched.size() > 1) {
    cache = &frames;
    cache->begin();
  }
  for (const Matched& match : matched) {
    const Session::Match how{.qos = std::min(match.qos, published),
                             .retain = match.retain,
                             .subscription_identifiers = match.identifiers};
    if (how.qos == mqtt::Qos::at_most_once) {
      match.session->deliver_at_most_once(flow.publish, how, cache);
      continue;
    }
    const DurableId durable = match.session->durable_id();
    if (durable == DurableId{} || by_record == nullptr) {
      deliver_to(*match.session, how, flow, {durable, durable != DurableId{}}, now);
    }
  }
  deliver_group_matches(flow, by_record, now);
}

// A group's delivery may lead to another fan-out's work space only through mail, never from here.
void Shard::Impl::deliver_group_matches(InFlow& flow, const std::vector<Recipient>* by_record,
                                        Now now) {
  for (const DurableId group : matched_groups) {
    const bool recorded = by_record != nullptr && std::any_of(by_record->begin(), by_record->end(),
                                                              [group](const Recipient& recipient) {
                                                                return recipient.id == group;
                                                              });
    if (recorded || !group_states.contains(group)) {
      continue;
    }
    // A group that was not among the recipients when the record was written must not tick it off.
    const StoredPtr stored = by_record != nullptr ? std::exchange(flow.stored, nullptr) : nullptr;
    deliver_group(group, flow, now);
    if (stored) {
      flow.stored = stored;
    }
  }
}

// At QoS 2 the client keeps a packet id until the exchange has ended, so that must survive a crash,
// also for a message that nobody has promised to it.
StoredPtr Shard::Impl::stored_at_last(Session& session, const Session::Match& match, InFlow& flow,
                                      Now now) {
  if (session.durable_id() == DurableId{} || match.qos != mqtt::Qos::exactly_once) {
    return nullptr;
  }
  return store_for(
      session, block_of(flow, now),
      {session.durable_id(),
       match.qos,
       match.retain,
       {match.subscription_identifiers.begin(), match.subscription_identifiers.end()}});
}

void Shard::Impl::deliver_to(Session& session, const Session::Match& match, InFlow& flow, Via via,
                             Now now) {
  StoredPtr stored = via.stored ? flow.stored : nullptr;
  if (stored == nullptr) {
    stored = stored_at_last(session, match, flow, now);
    if (stored != nullptr) {  // it is this member's alone, if it came by a group
      via = {.recipient = session.durable_id(), .stored = true};
    }
  }
  Delivery delivery{.stored = std::move(stored),
                    .subscription_identifiers = {match.subscription_identifiers.begin(),
                                                 match.subscription_identifiers.end()},
                    .recipient = via.recipient,
                    .group_core = via.group_core,
                    .qos = match.qos,
                    .retain = match.retain};
  if (via.group_core != session::no_core || session.needs_message()) {
    delivery.message = message_of(flow, now);
  }
  session.deliver(std::move(delivery), flow.publish, now);
}

void Shard::Impl::deliver_recipients(InFlow& flow, const std::vector<Recipient>& recipients,
                                     Now now) {
  for (const Recipient& recipient : recipients) {
    if (Session* session = find_durable(recipient.id)) {
      const Session::Match how{.qos = recipient.qos,
                               .retain = recipient.retain,
                               .subscription_identifiers = recipient.subscription_identifiers};
      deliver_to(*session, how, flow, {recipient.id, true}, now);
    } else if (group_states.contains(recipient.id)) {
      deliver_group(recipient.id, flow, now);
    } else {  // it ended while the message was being stored
      tick_off(flow.stored, recipient.id);
    }
  }
}

}  // namespace skerry::shard
