// Mail of a shard: what goes to other cores, what comes from them, and the end of a turn.

#include <algorithm>
#include <utility>

#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

/// Rounds of mail to oneself in one turn; what is left waits for the next.
constexpr int own_mail_rounds = 8;

/// Has a message waited for another core to store what it keeps retained?
bool waits_for_keeper(const Gate* gate) noexcept {
  return gate != nullptr && gate->publication && gate->publication->ticket == 0 &&
         gate->publication->waits_for_keeper;
}

}  // namespace

CoreIndex Shard::Impl::owner_of(std::string_view name) const noexcept {
  return CoreIndex{
      static_cast<std::uint16_t>(keyed_hash(options.hash_key, name) % options.core_count)};
}

void Shard::Impl::post(CoreIndex to, Mail item, std::size_t bytes) {
  if (to == options.index) {
    own_mail.push_back(std::move(item));
    return;
  }
  MailBatch& mail = outbox[to.value];
  mail.size_bytes += bytes + sizeof(Mail);
  mail.items.push_back(std::move(item));
}

void Shard::Impl::receive(CoreIndex from, Mail& item, Now now) {
  std::visit(
      [&](auto& mail) {
        using Kind = std::decay_t<decltype(mail)>;
        if constexpr (std::is_same_v<Kind, mail::Publish>) {
          on_publish_mail(from, mail, now);
        } else if constexpr (std::is_same_v<Kind, mail::Interest>) {
          on_interest(from, mail);
        } else if constexpr (std::is_same_v<Kind, mail::Matched>) {
          on_matched(mail, from, now);
        } else if constexpr (std::is_same_v<Kind, mail::Release>) {
          on_release(mail, now);
        } else if constexpr (std::is_same_v<Kind, mail::Retain>) {
          on_retain(from, mail, now);
        } else if constexpr (std::is_same_v<Kind, mail::RetainedQuery>) {
          answer_retained(from, std::move(mail), now);
        } else if constexpr (std::is_same_v<Kind, mail::RetainedSlice>) {
          take_retained(from, mail, now);
        } else if constexpr (std::is_same_v<Kind, mail::RetainedNext>) {
          on_retained_next(std::move(mail), now);
        } else if constexpr (std::is_same_v<Kind, mail::Done>) {
          const bool failed = mail.status != storage::StatusCode::ok;
          if (waits_for_keeper(gates.find(mail.gate))) {
            on_answer(mail.gate, failed, now);
          } else {
            arrive(mail.gate, failed, now);
          }
        } else if constexpr (std::is_same_v<Kind, mail::GroupMember>) {
          on_group_member(from, mail, now);
        } else if constexpr (std::is_same_v<Kind, mail::GroupDeliver>) {
          on_group_deliver(from, mail, now);
        } else if constexpr (std::is_same_v<Kind, mail::Started>) {
          --cores_starting;
        } else {
          on_group_return(mail, now);
        }
      },
      item);
}

void Shard::Impl::on_interest(CoreIndex from, const mail::Interest& mail) {
  ++interests_version;
  Interests& known = interests.insert(mail.filter);
  const std::uint64_t bit = std::uint64_t{1} << from.value;
  known.cores = mail.present ? known.cores | bit : known.cores & ~bit;
  known.durable = mail.present && mail.durable ? known.durable | bit : known.durable & ~bit;
  if (known.cores == 0) {
    interests.erase(mail.filter);
  }
  if (mail.gate != GateId{}) {
    post(from, mail::Done{mail.gate});
  }
}

void Shard::Impl::on_publish_mail(CoreIndex from, mail::Publish& mail, Now now) {
  const mqtt::Publish view = view_now(*mail.block, now);
  InFlow flow{.publish = view,
              .publisher = mail.publisher,
              .block = mail.block,
              .stored = std::move(mail.stored)};
  collect(flow);
  if (mail.gate != GateId{}) {
    mail::Matched answer{.gate = mail.gate, .recipients = {}};
    append_recipients(view.qos, answer.recipients);
    post(from, std::move(answer));
  }
  if (!mail.hold) {
    // Without `stored` the publisher saw nobody persistent here; one that came since gets the
    // message all the same, though only from memory.
    deliver_matches(flow, nullptr, now);
  }
}

void Shard::Impl::on_matched(const mail::Matched& mail, CoreIndex from, Now now) {
  Gate* gate = gates.find(mail.gate);
  if (gate == nullptr || !gate->publication) {
    return;
  }
  Publication& publication = *gate->publication;
  for (const Recipient& recipient : mail.recipients) {
    publication.targets.push_back({from, recipient});
  }
  on_answer(mail.gate, false, now);
}

void Shard::Impl::on_release(mail::Release& mail, Now now) {
  const mqtt::Publish view = view_now(*mail.block, now);
  InFlow flow{.publish = view,
              .publisher = mail.publisher,
              .block = mail.block,
              .stored = std::move(mail.stored)};
  collect(flow);
  deliver_matches(flow, &mail.recipients, now);
  deliver_recipients(flow, mail.recipients, now);
}

void Shard::Impl::on_retain(CoreIndex from, const mail::Retain& mail, Now now) {
  const bool done = set_retained(mail.block, now);
  if (mail.gate == GateId{}) {
    return;
  }
  if (!done) {
    post(from, mail::Done{mail.gate, storage::StatusCode::full});
    return;
  }
  wait_for_commit(open_gate({.purpose = Gate::Purpose::answer_other_core,
                             .answer_core = from,
                             .answer_gate = mail.gate}));
}

void Shard::Impl::watch_congestion(Session& session, Now now) {
  if (!outside.congested()) {
    return;
  }
  if (session.pause_reading(true, now)) {
    paused.push_back(session.id());
  }
  retry_at = std::min(retry_at, now.steady + Milliseconds(5));
}

void Shard::Impl::resume_paused(Now now) {
  if (paused.empty()) {
    return;
  }
  if (outside.congested()) {
    retry_at = std::min(retry_at, now.steady + Milliseconds(5));
    return;
  }
  std::vector<SessionId> ids;
  ids.swap(paused);
  for (const SessionId id : ids) {
    if (Session* session = find(id)) {
      session->pause_reading(false, now);
      arm(*session);
    }
  }
}

void Shard::Impl::end_of_turn(Now now) {
  for (int round = 0; round < own_mail_rounds && !own_mail.empty(); ++round) {
    std::vector<Mail> mail;
    mail.swap(own_mail);
    for (Mail& item : mail) {
      receive(options.index, item, now);
    }
  }
  if (!scans.ready.empty()) {
    step_retained_scans(now);
  }
  if (has_slices()) {
    step_pumps(now);
    step_letting_go();
  }
  last_turn = now.steady;
  start_reads();
  tick_off_abandoned();
  if (!early_tick_offs.empty()) {
    retry_at = std::min(retry_at, now.steady + Milliseconds(5));
  }
  // Waiters without writes of their own still hear of this ticket, so it goes out when one waits.
  const bool waited_for =
      !waiting_for_commit.empty() && waiting_for_commit.back().ticket == next_ticket;
  const bool unsaved = !unstored.empty() || !unstored_records.empty();
  if (unsaved && (!batch.empty() || waited_for || store_again_at <= now.steady)) {
    store_again(now);
  }
  if (!batch.empty() || waited_for) {
    outside.commit(std::exchange(batch, storage::Batch{}), next_ticket++);
  }
  for (std::uint16_t core = 0; core < options.core_count; ++core) {
    if (!outbox[core].items.empty()) {
      outside.send(CoreIndex{core}, std::exchange(outbox[core], MailBatch{}));
    }
  }
  graveyard.clear();
  counters().subscriptions.set(filters.size());
  const auto second = std::chrono::floor<Seconds>(now.wall);
  if (second != denial_second) {
    denial_second = second;
    denials_in_second = 0;
  }
}

}  // namespace skerry::shard
