// A PUBLISH on its way through a shard: rights, tap, routing, and the storing of what must survive.
//
// Without anything durable: deliver here, one mail to each core with subscribers, acknowledge at
// once. Otherwise a gate is opened: cores with persistent subscribers answer who matches there, the
// message is written once with all its recipients (and the publisher's packet id at QoS 2), and
// when that is committed the acknowledgement leaves. QoS 1 is delivered meanwhile, QoS 2 after the
// commit.

#include <algorithm>
#include <utility>

#include "shard/shard_impl.hpp"
#include "shard/space.hpp"

namespace skerry::shard {
namespace {

/// Denials that one core logs in a second; the rest is counted only.
constexpr std::uint64_t denials_logged_per_second = 20;

std::string_view name_of(plugin::Action action) noexcept {
  switch (action) {
    case plugin::Action::publish:
      return "publish";
    case plugin::Action::subscribe:
      return "subscribe";
    case plugin::Action::receive:
      return "receive";
  }
  return {};
}

}  // namespace

plugin::Decision Shard::Impl::judge(const plugin::Identity& identity, plugin::Action action,
                                    std::string_view topic, std::string_view client) {
  if (options.authorizer == nullptr) {
    return {plugin::Verdict::allow, ""};
  }
  plugin::Decision decision;
  try {
    decision = options.authorizer->decide(identity, action, topic);
  } catch (...) {  // a plugin's edge: its failure is a no
    counters().plugin_exceptions.add();
    decision.rule = "the authorizer failed";
  }
  if (decision.allowed()) {
    return decision;
  }
  Counter& denied = action == plugin::Action::publish ? counters().publishes_denied
                                                      : counters().subscribes_denied;
  denied.add();
  const std::string owner = identity.owner();
  if (options.audit != nullptr) {
    options.audit->refused({owner, name_of(action), topic, "denied", decision.rule, {}});
  }
  if (denials_in_second++ < denials_logged_per_second) {
    std::string detail = owner;
    detail.append(" topic ").append(topic).append(" rule ").append(decision.rule);
    outside.log(2, std::string{name_of(action)} + " denied", client, detail);
  }
  return decision;
}

// What a publish has come to when nothing of its gate is left to wait for, at once or never begun.
PublishOutcome Shard::Impl::settle(GateId id) {
  const Gate* gate = gates.find(id);
  if (gate == nullptr || gate->waiting != 0) {
    return {.gate = id};
  }
  if (!gates.take(id).failed) {
    return {};
  }
  return {.reason = mqtt::Reason::quota_exceeded,
          .what = "the server keeps as many retained messages as it is allowed to"};
}

mqtt::Publish Shard::Impl::view_now(const mqtt::MessageBlock& block, Now now) const {
  mqtt::Publish view = block.view();
  view.properties.message_expiry_interval.reset();
  if (block.expires_at() != WallTime::max()) {  // [MQTT-3.3.2-6]
    const auto left = std::chrono::duration_cast<Seconds>(block.expires_at() - now.wall).count();
    view.properties.message_expiry_interval =
        static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0));
  }
  return view;
}

// What the tap stores joins the batch of this turn.
plugin::TapResult Shard::Impl::tap(const Session& from, const mqtt::Publish& packet, Now now) {
  if (options.tap == nullptr) {
    return {};
  }
  storage::Batch writes;
  plugin::TapResult result;
  try {
    result = options.tap->on_publish(from.identity(), packet, now, writes);
  } catch (...) {  // a plugin's edge: try again later
    counters().plugin_exceptions.add();
    result = {plugin::TapVerdict::busy, "the server could not take the message"};
  }
  if (result.verdict == plugin::TapVerdict::stored) {
    batch.append(writes);
  } else if (result.verdict == plugin::TapVerdict::rejected) {
    counters().telemetry_rejected.add();
    outside.log(2, "message rejected", from.client_id(), result.what);
  }
  return result;
}

// The epoch is read before the policy: a decision of a policy that goes at this moment is asked for
// again.
bool Shard::Impl::may_publish(Session& from, const mqtt::Publish& packet, PublishPath* path) {
  const std::uint64_t epoch = options.authorizer == nullptr ? 0 : options.authorizer->epoch();
  if (path != nullptr && epoch != 0 && path->allowed_at_epoch == epoch) {
    return true;
  }
  const plugin::Decision decision =
      judge(from.identity(), plugin::Action::publish, packet.topic, from.client_id());
  if (path != nullptr) {
    path->allowed_at_epoch = decision.allowed() && decision.lasting ? epoch : 0;
  }
  return decision.allowed();
}

PublishOutcome Shard::Impl::publish(Session& from, const mqtt::Publish& packet, Now now) {
  const bool tells_reason = from.version() == mqtt::Version::v5;
  PublishPath* const path = PublishPath::of(from, packet.topic);
  if (!may_publish(from, packet, path)) {
    // 3.1.1 knows no refusal: the message is acknowledged, counted and dropped [MQTT-3.3.5-2]
    // of 3.1.1.
    return {.reason = tells_reason ? mqtt::Reason::not_authorized : mqtt::Reason::success,
            .what = "this client may not publish to this topic"};
  }
  if (packet.qos != mqtt::Qos::at_most_once &&
      refuses(MemoryRefusal::publish, MemoryBudget::Level::full)) {
    return {.reason = mqtt::Reason::quota_exceeded,
            .what = "the server is short of memory; try again later"};
  }
  const plugin::TapResult tapped = tap(from, packet, now);
  if (tapped.verdict == plugin::TapVerdict::rejected) {
    return {.reason = tells_reason ? mqtt::Reason::payload_format_invalid : mqtt::Reason::success,
            .what = tapped.what};
  }
  const bool answered = packet.qos != mqtt::Qos::at_most_once;
  if (tapped.verdict == plugin::TapVerdict::busy && answered) {
    return {.reason = mqtt::Reason::quota_exceeded, .what = tapped.what};
  }
  if (answered && outside.space_low() && refused_for_space(takes_space(from, packet))) {
    return {.reason = mqtt::Reason::quota_exceeded, .what = space_is_low};
  }
  const bool stored_by_tap = tapped.verdict == plugin::TapVerdict::stored;
  const GateId gate =
      route(packet, {.from = &from, .stored_by_tap = stored_by_tap, .path = path}, now);
  if (answered || stored_by_tap) {
    watch_congestion(from, now);
  }
  PublishOutcome outcome = settle(gate);
  outcome.forgets_id = options.faults.forget_qos2_id;
  if (options.faults.acknowledge_before_commit) {
    outcome.gate = GateId{};
  }
  return outcome;
}

Interests Shard::Impl::interests_of(std::string_view topic, PublishPath* path) {
  Interests all;
  if (options.core_count == 1) {
    return all;
  }
  if (path != nullptr && path->interests_version == interests_version) {
    return path->elsewhere;
  }
  interests.match(topic, [&](Interests& here) {
    all.cores |= here.cores;
    all.durable |= here.durable;
  });
  if (path != nullptr) {
    path->elsewhere = all;
    path->interests_version = interests_version;
  }
  return all;
}

GateId Shard::Impl::gate_for(Session* from, GateId existing) {
  return existing != GateId{} ? existing : open_gate({.session = from == nullptr ? 0 : from->id()});
}

GateId Shard::Impl::route(const mqtt::Publish& packet, const RouteOptions& how, Now now) {
  Session* const from = how.from;
  InFlow flow{
      .publish = packet, .publisher = from == nullptr ? 0 : from->client_hash(), .path = how.path};
  const bool answered = packet.qos != mqtt::Qos::at_most_once;
  GateId gate = how.gate;
  if (how.stored_by_tap && answered) {
    gate = gate_for(from, gate);
    wait_for_commit(gate);
  }
  // At QoS 0 a message need not be retained; the older one stays [MQTT-3.3.1-8].
  const bool from_client = from != nullptr && !answered && !packet.payload.empty();
  if (packet.retain && !refused_for_space(from_client)) {
    const bool heard = answered || gate != GateId{};
    if (heard) {
      gate = gate_for(from, gate);
    }
    const mqtt::BlockPtr& block = block_of(flow, now);
    const CoreIndex owner = owner_of(packet.topic);
    if (owner != options.index) {
      if (heard) {
        ++gates.find(gate)->waiting;
      }
      post(owner, mail::Retain{block, gate}, block->size_bytes());
    } else if (!set_retained(block, now)) {
      if (heard) {
        gates.find(gate)->failed = true;
      }
      if (answered && from != nullptr) {
        return gate;  // it will come again, and then to the others, too
      }
    } else if (heard) {
      wait_for_commit(gate);
    }
  }
  const Interests cores = interests_of(packet.topic, how.path);
  collect(flow);
  const bool twice = packet.qos == mqtt::Qos::exactly_once;
  const bool keeps_packet_id = twice && from != nullptr && from->durable_id() != DurableId{};
  const bool stands_in_line = twice && from != nullptr && held.contains(from->id());
  if (answered && (keeps_packet_id || stands_in_line || wants_storage(cores))) {
    return route_stored(flow, from, cores, gate_for(from, gate), now);
  }
  deliver_matches(flow, nullptr, now);
  for (std::uint16_t core = 0; core < options.core_count; ++core) {
    if ((cores.cores >> core & 1) != 0) {
      if (!answered && outside.mailbox_full(CoreIndex{core})) {
        counters().dropped[static_cast<int>(DropReason::mailbox_full)].add();
        continue;
      }
      const mqtt::BlockPtr& block = block_of(flow, now);
      post(CoreIndex{core}, mail::Publish{.block = block, .publisher = flow.publisher},
           block->size_bytes());
    }
  }
  return gate;
}

bool Shard::Impl::wants_storage(Interests cores) const {
  if (cores.durable != 0) {
    return true;
  }
  const bool session = std::any_of(matched.begin(), matched.end(), [](const Matched& match) {
    return match.session->durable_id() != DurableId{} && match.qos != mqtt::Qos::at_most_once;
  });
  return session || std::any_of(matched_groups.begin(), matched_groups.end(), [&](DurableId id) {
           const auto state = group_states.find(id);
           return state != group_states.end() && state->second.stored;
         });
}

GateId Shard::Impl::route_stored(InFlow& flow, Session* from, Interests cores, GateId gate,
                                 Now now) {
  const bool twice = flow.publish.qos == mqtt::Qos::exactly_once;
  auto publication = std::make_unique<Publication>();
  flow.stored = std::make_shared<Stored>();
  flow.stored->id = next_message_id();
  publication->block = block_of(flow, now);
  publication->stored = flow.stored;
  publication->publisher = flow.publisher;
  publication->session = from == nullptr ? 0 : from->id();
  publication->hold = twice;
  publication->cores = cores.cores;
  if (twice && from != nullptr) {
    held[from->id()].push_back(gate);
  }
  const bool keeps_id = !options.faults.forget_qos2_id;
  if (twice && keeps_id && from != nullptr && from->durable_id() != DurableId{}) {
    publication->packet_id_owner = from->durable_id();
    publication->packet_id = flow.publish.packet_id;
  }
  // Once the packet id is on disk a resend is not routed again, and once a will's message is there
  // its will is not published again: so what another core keeps retained has to be there before.
  const Gate::Purpose purpose = gates.find(gate)->purpose;
  if ((publication->packet_id_owner != DurableId{} || purpose == Gate::Purpose::will) &&
      flow.publish.retain && owner_of(flow.publish.topic) != options.index) {
    publication->waits_for_keeper = true;
    ++publication->answers_missing;
  }
  std::vector<Recipient> recipients;
  append_recipients(flow.publish.qos, recipients);
  for (Recipient& recipient : recipients) {
    publication->targets.push_back({options.index, std::move(recipient)});
  }
  Gate& waiting = *gates.find(gate);
  waiting.publication = std::move(publication);
  for (std::uint16_t core = 0; core < options.core_count; ++core) {
    const bool durable = (cores.durable >> core & 1) != 0;
    if (durable) {
      ++waiting.waiting;
      ++waiting.publication->answers_missing;
    }
    if (durable || (!twice && (cores.cores >> core & 1) != 0)) {
      post(CoreIndex{core},
           mail::Publish{.block = flow.block,
                         .publisher = flow.publisher,
                         .gate = durable ? gate : GateId{},
                         .hold = twice,
                         .stored = durable ? flow.stored : nullptr},
           flow.block->size_bytes());
    }
  }
  write_in_turn(waiting, gate);
  if (!twice) {
    deliver_matches(flow, nullptr, now);
  }
  return gate;
}

// Writes the record, or lets it wait for answers and behind earlier messages of its publisher:
// after a crash between the two a subscriber would have the later message, and the earlier one only
// once it was sent again [MQTT-4.6.0-5].
void Shard::Impl::write_in_turn(Gate& gate, GateId id) {
  const Publication& publication = *gate.publication;
  const bool from_client = publication.session != 0;
  const bool in_line = from_client && !unwritten.empty() && unwritten.contains(publication.session);
  if (publication.answers_missing == 0 && !in_line) {
    write_publication(gate, id);
  } else if (from_client) {
    ++gate.waiting;
    unwritten[publication.session].push_back(id);
  }
}

void Shard::Impl::write_next(SessionId publisher, Now now) {
  const auto line = unwritten.find(publisher);
  if (line == unwritten.end()) {
    return;
  }
  std::vector<GateId> written;
  while (!line->second.empty()) {
    const GateId id = line->second.front();
    Gate& gate = *gates.find(id);
    if (gate.publication->answers_missing != 0) {
      break;
    }
    if (!gate.failed) {  // of a refused one nothing may be on disk
      write_publication(gate, id);
    }
    line->second.pop_front();
    written.push_back(id);
  }
  if (line->second.empty()) {
    unwritten.erase(line);
  }
  for (const GateId id : written) {
    arrive(id, false, now);
  }
}

// A core has said who matches there, or that it has stored what it keeps retained.
void Shard::Impl::on_answer(GateId id, bool failed, Now now) {
  Gate& gate = *gates.find(id);
  gate.failed = gate.failed || failed;
  if (--gate.publication->answers_missing == 0) {
    if (gate.publication->session != 0) {
      write_next(gate.publication->session, now);
    } else if (!gate.failed) {  // of a refused one nothing may be on disk
      write_publication(gate, id);
    }
  }
  arrive(id, failed, now);
}

// All cores have said who matches: one record for all of them. It may turn out that there is
// nobody.
void Shard::Impl::write_publication(Gate& gate, GateId id) {
  Publication& publication = *gate.publication;
  Stored& stored = *publication.stored;
  for (const Publication::Target& target : publication.targets) {
    stored.recipients.push_back(target.recipient.id);
  }
  stored.remaining.store(static_cast<std::uint32_t>(stored.recipients.size()),
                         std::memory_order_release);
  if (!stored.recipients.empty()) {
    batch.put(storage::Family::messages, message_key(stored.id),
              encode_message_record(publication));
  }
  // A session that has ended meanwhile has no records any more, and nobody would erase this one.
  if (find_durable(publication.packet_id_owner) == nullptr) {
    publication.packet_id_owner = DurableId{};
  }
  if (publication.packet_id_owner != DurableId{}) {
    doubtful_ids.erase({publication.packet_id_owner, publication.packet_id});
    batch.put(storage::Family::inflight,
              inbound_key(publication.packet_id_owner, publication.packet_id),
              std::string_view("\x01", 1));
  }
  publication.ticket = next_ticket;
  wait_for_commit(id);
  if (gate.purpose == Gate::Purpose::will) {
    will_written(id);
  }
}

// The held message is on disk: now it may be seen.
void Shard::Impl::deliver_held(Publication& publication, Now now) {
  const mqtt::Publish view = view_now(*publication.block, now);
  InFlow flow{.publish = view,
              .publisher = publication.publisher,
              .block = publication.block,
              .stored = publication.stored};
  std::vector<Recipient> here;
  std::vector<std::vector<Recipient>> elsewhere(options.core_count);
  for (Publication::Target& target : publication.targets) {
    (target.core == options.index ? here : elsewhere[target.core.value])
        .push_back(std::move(target.recipient));
  }
  collect(flow);
  deliver_matches(flow, &here, now);
  deliver_recipients(flow, here, now);
  for (std::uint16_t core = 0; core < options.core_count; ++core) {
    if ((publication.cores >> core & 1) != 0) {
      post(CoreIndex{core},
           mail::Release{.block = publication.block,
                         .publisher = publication.publisher,
                         .stored = publication.stored,
                         .recipients = std::move(elsewhere[core])},
           publication.block->size_bytes());
    }
  }
}

}  // namespace skerry::shard
