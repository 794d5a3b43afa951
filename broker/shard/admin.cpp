// What the admin side asks of one shard.

#include "shard/shard_impl.hpp"

namespace skerry::shard {
Shard::DisconnectProgress Shard::disconnect_owner(std::string_view owner, mqtt::Reason reason,
                                                  std::uint32_t limit, Now now) {
  Impl& shard = *impl_;
  DisconnectProgress progress;
  const std::string first = session_key(owner, {});
  for (;;) {
    const auto at = shard.sessions.lower_bound(first);
    if (at == shard.sessions.end() || owner_part(at->first) != owner) {
      return progress;
    }
    if (progress.closed == limit) {
      progress.done = false;
      return progress;
    }
    shard.end_session(*at->second, reason, CloseCause::administrative, now);
    ++progress.closed;
  }
}

plugin::AdminView::ClientOutcome Shard::end_client(const std::string& key, Ending what, Now now) {
  using Outcome = plugin::AdminView::ClientOutcome;
  Impl& shard = *impl_;
  const auto found = shard.sessions.find(key);
  if (found == shard.sessions.end()) {
    return Outcome::not_found;
  }
  Session& session = *found->second;
  const bool ends = what == Ending::session;
  if (!session.connected() && !ends) {
    return Outcome::not_connected;
  }
  if (ends) {  // its will is due at its end like that of any session
    session.set_expiry_seconds(0);
  }
  if (session.connected()) {
    shard.end_connection(session, mqtt::Reason::administrative_action,
                         "an operator has ended this connection", CloseCause::administrative, now);
  } else {
    shard.remove_session(session, true, now);
  }
  return Outcome::done;
}

std::vector<plugin::ClientInfo> Shard::list_clients(
    const plugin::AdminView::ClientQuery& query) const {
  std::vector<plugin::ClientInfo> found;
  const Impl& shard = *impl_;
  const bool from_start = query.after_owner.empty();
  const std::string after = from_start ? session_key(query.owner, {})
                                       : session_key(query.after_owner, query.after_client_id);
  auto at = from_start
                ? (query.owner.empty() ? shard.sessions.begin() : shard.sessions.lower_bound(after))
                : shard.sessions.upper_bound(after);
  for (; at != shard.sessions.end() && found.size() < query.limit; ++at) {
    const session::Session& session = *at->second;
    if (!query.owner.empty() && owner_part(at->first) != query.owner) {
      break;
    }
    found.push_back(
        {.owner = std::string(owner_part(at->first)),
         .client_id = std::string(session.client_id()),
         .connected = session.connected(),
         .peer_address = session.peer_address(),
         .certificate_serial = session.identity().certificate_serial,
         .protocol_version = static_cast<std::uint8_t>(session.version()),
         .subscription_count = static_cast<std::uint32_t>(session.subscriptions().size()),
         .queued_messages = static_cast<std::uint32_t>(session.queued_count())});
  }
  return found;
}

void Shard::expire(SessionId id, Now now) {
  session::Session* session = impl_->find(id);
  if (session == nullptr) {
    return;
  }
  session->set_will(nullptr);
  impl_->end_connection(*session, mqtt::Reason::not_authorized,
                        "the credentials of this connection have expired", CloseCause::expired,
                        now);
}

void Shard::end_slow(SessionId id, Now now) {
  if (session::Session* session = impl_->find(id)) {
    impl_->counters().slow_consumers.add();
    impl_->end_connection(*session, mqtt::Reason::quota_exceeded,
                          "memory is short and this client takes nothing",
                          CloseCause::slow_consumer, now);
  }
}

void Shard::shut_down(Now now) {
  Impl& shard = *impl_;
  std::vector<session::Session*> connected;
  for (const auto& [key, session] : shard.sessions) {
    if (session->connected()) {
      connected.push_back(session.get());
    }
  }
  for (session::Session* session : connected) {
    session::Link& link = *session->link();
    shard.write_farewell(*session, mqtt::Reason::server_shutting_down, "");
    link.output_changed();
    if (!session->open()) {  // its CONNECT has just been refused
      shard.detach(*session, false, now);
      link.close(session::CloseCause::server_shutdown);
      continue;
    }
    // Its record still says "connected": after the restart it counts as cut off then, and its will
    // is due by its delay.
    session->detach();
    link.close(session::CloseCause::server_shutdown);
  }
}

}  // namespace skerry::shard
