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
    shard.end_session(*at->second, reason, CloseCause::revoked, now);
    ++progress.closed;
  }
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
    // Its record still says "connected": after the restart it counts as cut off then, and its will
    // is due by its delay.
    session->detach();
    link.close(session::CloseCause::server_shutdown);
  }
  static_cast<void>(now);
}

}  // namespace skerry::shard
