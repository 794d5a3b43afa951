// What becomes due on a shard: keep-alive, session expiry, will delay, and retries of what was held
// up.

#include <algorithm>

#include "shard/shard_impl.hpp"

namespace skerry::shard {

void Shard::Impl::arm(Session& session) {
  const SteadyTime due =
      std::min({session.keep_alive_deadline(), session.expires_at, session.will_due_at});
  if (due < session.timer_armed_at) {
    session.timer_armed_at = due;
    timers.add(due, session.id());
  }
}

SteadyTime Shard::Impl::next_deadline() const noexcept {
  SteadyTime next = std::min({timers.next(), retry_at, store_again_at, empty_groups_at});
  if (!retained_scans.empty() || !own_mail.empty()) {
    next = SteadyTime::min();
  }
  return next;
}

void Shard::Impl::on_timer(Now now) {
  while (const std::uint64_t id = timers.take(now.steady)) {
    if (Session* session = find(id)) {
      session->timer_armed_at = SteadyTime::max();
      check_session(*session, now);
    }
  }
  if (retry_at <= now.steady) {
    retry_at = SteadyTime::max();
    retry_tick_offs();
    resume_paused(now);
    drain_groups(now);
  }
  if (empty_groups_at <= now.steady) {
    forget_empty_groups();
  }
}

void Shard::Impl::check_session(Session& session, Now now) {
  session.excuse_silence(now);
  if (session.keep_alive_deadline() <= now.steady) {  // [MQTT-3.1.2-22]
    counters().keep_alive_timeouts.add();
    end_connection(session, mqtt::Reason::keep_alive_timeout,
                   "nothing was heard for one and a half times the keep alive",
                   CloseCause::keep_alive_timeout, now);
    return;
  }
  if (session.expires_at <= now.steady) {  // [MQTT-3.1.2-23]
    remove_session(session, true, now);
    return;
  }
  if (session.will_due_at <= now.steady) {
    publish_will(session, now);
  }
  arm(session);
}

}  // namespace skerry::shard
