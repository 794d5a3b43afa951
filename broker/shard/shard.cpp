#include "shard/shard.hpp"

#include <utility>

#include "base/assert.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {

std::string session_key(std::string_view owner, std::string_view client_id) {
  std::string key;
  key.reserve(owner.size() + 1 + client_id.size());
  return key.append(owner).append(1, '\0').append(client_id);
}

CoreIndex home_core(HashKey key, std::string_view session_key, std::uint16_t core_count) noexcept {
  return CoreIndex{static_cast<std::uint16_t>(keyed_hash(key, session_key) % core_count)};
}

Shard::Impl::Impl(ShardOptions given, Outside& world)
    : options(std::move(given)),
      outside(world),
      credentials(options.hash_key),
      filters(options.hash_key),
      interests(options.hash_key),
      groups(options.hash_key,
             {options.limits.group_queue_messages_max, options.limits.session_queue_bytes_max}),
      outbox(options.core_count) {
  cores_starting = options.core_count - 1;
  SKERRY_ASSERT(options.core_count >= 1 && options.core_count <= 64);
  SKERRY_ASSERT(options.counters != nullptr && options.next_id != nullptr);
}

Shard::Impl::~Impl() = default;

Shard::Shard(ShardOptions options, Outside& outside)
    : impl_(std::make_unique<Impl>(std::move(options), outside)) {}

Shard::~Shard() = default;

bool Shard::load(storage::Family family, std::string_view key, std::string_view value, Now now) {
  return impl_->load(family, key, value, now);
}

void Shard::start(Now now) {
  impl_->start(now);
}

Shard::SessionId Shard::open(ConnectRequest request, session::Link& link, Now now) {
  return impl_->open(std::move(request), link, now);
}

bool Shard::on_frame(SessionId id, const mqtt::Frame& frame, Now now) {
  session::Session* session = impl_->find(id);
  if (session == nullptr || !session->connected()) {
    return false;
  }
  const bool goes_on = session->on_frame(frame, now);
  if (goes_on && session->held_by_rate()) {
    impl_->arm(*session);
  }
  return goes_on;
}

void Shard::on_violation(SessionId id, mqtt::Violation violation, Now now) {
  if (session::Session* session = impl_->find(id)) {
    impl_->counters().protocol_errors.add();
    impl_->end_connection(*session, violation.reason, violation.what,
                          session::CloseCause::protocol_error, now);
  }
}

void Shard::on_closed(SessionId id, session::CloseCause cause, Now now) {
  session::Session* session = impl_->find(id);
  if (session != nullptr && session->connected()) {
    impl_->tell_disconnected(session->identity(), cause, now);
    impl_->detach(*session, true, now);  // [MQTT-3.1.2-8]: no DISCONNECT came
  }
}

void Shard::on_output_drained(SessionId id, Now now) {
  if (session::Session* session = impl_->find(id)) {
    session->output_drained(now);
  }
}

void Shard::receive(CoreIndex from, MailBatch mail, Now now) {
  for (Mail& item : mail.items) {
    impl_->receive(from, item, now);
  }
}

void Shard::on_committed(std::uint64_t ticket, const storage::Status& status, Now now) {
  impl_->on_committed(ticket, status, now);
}

void Shard::on_read(ReadAnswer answer, Now now) {
  impl_->on_read(std::move(answer), now);
}

SteadyTime Shard::next_deadline() const noexcept {
  return impl_->next_deadline();
}

void Shard::on_timer(Now now) {
  impl_->on_timer(now);
}

void Shard::end_of_turn(Now now) {
  impl_->end_of_turn(now);
}

bool Shard::turn_is_empty() const noexcept {
  const Impl& shard = *impl_;
  for (const MailBatch& mail : shard.outbox) {
    if (!mail.items.empty()) {
      return false;
    }
  }
  const bool waited_for = !shard.waiting_for_commit.empty() &&
                          shard.waiting_for_commit.back().ticket == shard.next_ticket;
  return !waited_for && shard.batch.empty() && shard.own_mail.empty() && !shard.scans.go_on() &&
         shard.graveyard.empty() && !shard.has_slices();
}

}  // namespace skerry::shard
