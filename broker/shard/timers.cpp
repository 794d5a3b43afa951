// What becomes due on a shard: keep-alive, session expiry, will delay, and retries of what was held
// up.

#include <algorithm>

#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

/// Reminders that may be stale beside as many again as there are sessions.
constexpr std::size_t stale_timers_max = 1024;
/// Retained messages that nobody asks for are looked at this many at a time.
constexpr std::size_t sweep_topics = 4096;
constexpr Seconds sweep_every{1};

}  // namespace

void Shard::Impl::arm(Session& session) {
  const SteadyTime due =
      std::max(quiet_until, std::min({session.keep_alive_deadline(), session.expires_at,
                                      session.will_due_at, session.rate_resumes_at()}));
  if (due < session.timer_armed_at) {
    session.timer_armed_at = due;
    timers.add(due, session.id());
  }
  if (timers.size() > 2 * sessions.size() + stale_timers_max) {
    rebuild_timers();
  }
}

// A client that comes and goes leaves reminders behind that are due in days.
void Shard::Impl::rebuild_timers() {
  timers.clear();
  for (const auto& [key, session] : sessions) {
    session->timer_armed_at = SteadyTime::max();
  }
  for (const auto& [key, session] : sessions) {
    arm(*session);
  }
}

// Until every core has said what is subscribed there, a will that is due would miss its recipients.
SteadyTime Shard::Impl::next_deadline() const noexcept {
  if (cores_starting > 0) {
    return SteadyTime::max();
  }
  SteadyTime next =
      std::min({timers.next(), retry_at, store_again_at, empty_groups_at, sweep_at, expiry_at});
  if (scans.go_on() || !own_mail.empty() || has_slices()) {
    next = SteadyTime::min();
  }
  return next;
}

void Shard::Impl::on_timer(Now now) {
  if (cores_starting > 0) {
    return;
  }
  for (auto due = timers.take(now.steady); due.session != 0; due = timers.take(now.steady)) {
    Session* session = find(due.session);
    if (session != nullptr &&
        session->timer_armed_at == due.at) {  // else a later one was forgotten
      session->timer_armed_at = SteadyTime::max();
      check_session(*session, now);
    }
  }
  if (sweep_at <= now.steady) {
    retained.sweep(sweep_topics, now.wall);
    erase_expired_retained();
    sweep_at = retained.count() > 0 ? now.steady + sweep_every : SteadyTime::max();
  }
  if (expiry_at <= now.steady) {
    step_expiry(now);
  }
  if (retry_at <= now.steady) {
    retry_at = SteadyTime::max();
    retry_tick_offs();
    page_sessions(now);
    retry_reads();
    answer_held_slices(now);
    resume_paused(now);
    drain_groups(now);
  }
  if (empty_groups_at <= now.steady) {
    forget_empty_groups();
  }
}

void Shard::Impl::check_session(Session& session, Now now) {
  session.excuse_silence(now);
  session.resume_rate(now);
  if (session.keep_alive_deadline() <= now.steady) {  // [MQTT-3.1.2-22]
    counters().keep_alive_timeouts.add();
    end_connection(session, mqtt::Reason::keep_alive_timeout,
                   "nothing was heard for one and a half times the keep alive",
                   CloseCause::keep_alive_timeout, now);
    return;
  }
  if (session.expires_at <= now.steady) {  // section 3.1.2.11.2
    remove_session(session, true, now);
    return;
  }
  if (session.will_due_at <= now.steady) {
    publish_will(session, now);
  }
  arm(session);
}

}  // namespace skerry::shard
