// Who may stay: sessions are judged again when rights may have changed, live ones and those that
// wait for their clients. docs/adr/0012 says what happens to which.

#include <utility>

#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

using State = plugin::Standing::State;

/// What one turn may take: asking costs about a microsecond, ending one some thirty.
constexpr std::uint32_t sessions_per_slice = 512;
constexpr std::uint32_t ends_per_slice = 32;
constexpr std::size_t deliveries_per_slice = 4096;

CloseCause cause_of(State state) noexcept {
  switch (state) {
    case State::expired:
      return CloseCause::expired;
    case State::revoked:
      return CloseCause::revoked;
    case State::suspended:
      return CloseCause::suspended;
    case State::retired:
      return CloseCause::retired;
    case State::erased:
      return CloseCause::erased;
    case State::valid:
    case State::denied:
      return CloseCause::not_authorized;
  }
  return CloseCause::not_authorized;
}

const char* sentence_of(State state) noexcept {
  switch (state) {
    case State::expired:
      return "the credentials of this connection have expired";
    case State::revoked:
      return "the certificate or key of this connection has been revoked";
    case State::suspended:
      return "this device has been suspended";
    case State::retired:
      return "this device has been retired";
    case State::erased:
      return "this client is not registered any more";
    case State::valid:
    case State::denied:
      return "the credentials of this connection are no longer good";
  }
  return "";
}

}  // namespace

plugin::Standing Shard::Impl::standing_of(const plugin::Identity& identity, Now now) {
  if (!options.still_valid) {
    return {.until = identity.not_after};
  }
  try {
    return options.still_valid(identity, now.wall);
  } catch (...) {  // a plugin's edge: its failure is a no
    counters().plugin_exceptions.add();
    return {.state = State::denied};
  }
}

// True when something was taken away. The session may be gone then.
bool Shard::Impl::judge_again(Session& session, Now now) {
  session.publish_path.reset();  // made of what the client was allowed until now
  const plugin::Standing standing = standing_of(session.identity(), now);
  if (!standing.valid()) {
    return end_right(session, standing.state, now);
  }
  if (session.connected() && standing.until != session.identity().not_after) {
    session.set_not_after(standing.until);
    session.link()->expires_at(standing.until);
  }
  return judge_subscriptions(session, now);
}

bool Shard::Impl::end_right(Session& session, State state, Now now) {
  const bool for_good = state == State::retired || state == State::erased;
  const bool taken = state == State::revoked || state == State::suspended;
  const bool drops = for_good || (taken && options.drop_revoked_queues);
  if (!drops && !session.connected() && session.will() == nullptr) {
    return false;  // waits for a client that comes with good credentials
  }
  counters().rights_ended.add();
  session.set_will(nullptr);  // promise 2 goes before [MQTT-3.1.2-8]
  session.will_due_at = SteadyTime::max();
  if (drops) {
    session.set_expiry_seconds(0);
  }
  if (session.connected()) {
    end_connection(session, plugin::reason_of(state), sentence_of(state), cause_of(state), now);
  } else if (drops) {
    remove_session(session, false, now);
  } else {
    store_session(session, false, now);  // without its will
  }
  return true;
}

// A client must know what it is subscribed to, so whoever loses a subscription loses the connection
// as well: it subscribes anew and hears what is refused.
bool Shard::Impl::judge_subscriptions(Session& session, Now now) {
  std::vector<session::Subscription> kept;
  std::vector<session::Subscription> taken;
  for (const session::Subscription& subscription : session.subscriptions()) {
    const plugin::Decision decision = judge(session.identity(), plugin::Action::subscribe,
                                            inner_filter(subscription.filter), session.client_id());
    if (decision.allowed()) {
      const bool covers = decision.verdict == plugin::Verdict::allow_and_covers;
      set_cover(session, subscription.filter, covers ? options.authorizer->epoch() : 0);
    }
    (decision.allowed() ? kept : taken).push_back(subscription);
  }
  if (taken.empty()) {
    return false;
  }
  session.subscriptions() = std::move(kept);
  subscription_count -= taken.size();
  counters().rights_ended.add();
  for (const session::Subscription& subscription : taken) {
    if (session.durable_id() != DurableId{}) {
      batch.erase(storage::Family::subscriptions,
                  subscription_key(session.durable_id(), subscription.filter));
    }
    drop_subscription(session, subscription);
  }
  drop_unreceivable(session);
  if (session.connected()) {
    end_connection(session, mqtt::Reason::not_authorized,
                   "a subscription of this client is no longer allowed", CloseCause::not_authorized,
                   now);
  }
  return true;
}

// What waits for the client although it may not have it any more. A QoS 2 message whose packet id
// the client may know stays: its exchange must come to an end, and the client has seen it.
void Shard::Impl::drop_unreceivable(Session& session) {
  judged_deliveries += session.queued_count() + session.inflight_count();
  std::vector<Delivery> unwanted = session.take_undelivered([&](const Delivery& delivery) {
    return !authorized(session.identity(), plugin::Action::receive, delivery.message->topic(),
                       session.client_id());
  });
  for (Delivery& delivery : unwanted) {
    if (delivery.group_core != session::no_core) {
      return_to_group(delivery, session.id());
    } else {
      finish(session, delivery);
      counters().dropped[static_cast<int>(DropReason::not_authorized)].add();
    }
  }
}

void Shard::Impl::end_session(Session& session, mqtt::Reason reason, CloseCause cause, Now now) {
  session.set_will(nullptr);
  session.set_expiry_seconds(0);
  if (session.connected()) {
    end_connection(session, reason, "this client's rights have ended", cause, now);
  } else {
    remove_session(session, false, now);
  }
}

Shard::Reevaluation Shard::reevaluate(std::string_view owner, const std::string& after, Now now) {
  Impl& shard = *impl_;
  Reevaluation progress;
  shard.judged_deliveries = 0;
  auto at = after.empty()
                ? shard.sessions.lower_bound(owner.empty() ? std::string() : session_key(owner, {}))
                : shard.sessions.upper_bound(after);
  for (std::uint32_t looked = 0; at != shard.sessions.end(); ++looked) {
    if (!owner.empty() && owner_part(at->first) != owner) {
      return progress;
    }
    if (looked == sessions_per_slice || progress.ended == ends_per_slice ||
        shard.judged_deliveries >= deliveries_per_slice) {
      progress.done = false;
      return progress;
    }
    progress.next = at->first;
    if (shard.judge_again(*at->second, now)) {
      ++progress.ended;
      at = shard.sessions.upper_bound(progress.next);  // this one and others may be gone
    } else {
      ++at;
    }
  }
  return progress;
}

Shard::DisconnectProgress Shard::disconnect_credential(std::string_view credential,
                                                       mqtt::Reason reason, std::uint32_t limit,
                                                       Now now) {
  Impl& shard = *impl_;
  DisconnectProgress progress;
  for (Session* session = shard.credentials.find(credential); session != nullptr;
       session = shard.credentials.find(credential)) {
    if (progress.closed == limit) {
      progress.done = false;
      return progress;
    }
    shard.end_session(*session, reason, CloseCause::revoked, now);
    ++progress.closed;
  }
  return progress;
}

}  // namespace skerry::shard
