// The end of long queues: sessions and groups that have ended, and messages that have expired, let
// go of what they hold a slice a turn, so that neither this core nor one batch pays for a hundred
// thousand of them at once. A crash in between is no loss: at start, messages whose recipients are
// gone are removed.
#include <utility>

#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

/// Deliveries that one turn lets go of, over all that end.
constexpr std::size_t releases_per_turn = 512;
/// Queues whose front is looked at for expired messages in one step, and what one step drops.
constexpr std::size_t queues_per_step = 1024;
constexpr Seconds expiry_every{1};

}  // namespace

void Shard::Impl::let_go(std::uint64_t session, Ring<Delivery> deliveries) {
  if (!deliveries.empty()) {
    leaving.push_back({session, std::move(deliveries)});
  }
}

void Shard::Impl::let_go(const StoredPtr& stored, DurableId recipient) {
  if (stored) {
    late_tick_offs.push_back({stored, recipient});
  }
}

void Shard::Impl::release(Delivery& delivery, std::uint64_t session) {
  const bool free = delivery.qos == mqtt::Qos::at_least_once || !delivery.sent_before;
  if (delivery.group_core != session::no_core && free && delivery.message) {
    return_to_group(delivery, session);  // what was sent at QoS 2 is not [MQTT-4.8.2-5]
  } else if (delivery.stored && delivery.state != Delivery::State::releasing) {
    tick_off(delivery.stored, delivery.recipient);  // in state releasing it is ticked off already
  }
}

void Shard::Impl::step_letting_go() {
  std::size_t left = releases_per_turn;
  while (left > 0 && !leaving.empty()) {
    Leaving& first = leaving.front();
    for (; left > 0 && !first.deliveries.empty(); --left) {
      release(first.deliveries.front(), first.session);
      first.deliveries.pop_front();
    }
    if (first.deliveries.empty()) {
      leaving.pop_front();
    }
  }
  for (; left > 0 && !late_tick_offs.empty(); --left) {
    tick_off(late_tick_offs.front().stored, late_tick_offs.front().recipient);
    late_tick_offs.pop_front();
  }
}

void Shard::Impl::step_pumps(Now now) {
  for (const SessionId id : std::exchange(to_pump, {})) {
    if (Session* session = find(id)) {
      session->pump(now);
    }
  }
}

// Messages that wait for clients who stay away. Most queues expire in the order in which they grew,
// so a look at the front is enough; what stands behind a message that lasts goes when its client
// comes back.
void Shard::Impl::step_expiry(Now now) {
  expiry_at = by_durable.empty() ? SteadyTime::max() : now.steady + expiry_every;
  std::size_t drops_left = releases_per_turn;
  auto at = sessions.lower_bound(expiry_from);
  for (std::size_t looked = 0; looked < queues_per_step && at != sessions.end(); ++looked) {
    drops_left -= at->second->drop_expired(drops_left, now);
    if (drops_left == 0) {
      expiry_at = now.steady;
      break;  // this one may have more
    }
    ++at;
  }
  expiry_from = at == sessions.end() ? std::string() : std::string(at->first);
}

}  // namespace skerry::shard
