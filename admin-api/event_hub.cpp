#include "admin-api/event_hub.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <charconv>
#include <deque>
#include <mutex>
#include <vector>

#include "admin-api/rest.hpp"
#include "base/assert.hpp"
#include "crypto/encoding.hpp"
#include "crypto/random.hpp"

namespace skerry::admin_api {
namespace {

using Clock = std::chrono::steady_clock;

/// Text that one take() makes before it stops, and events it looks at.
constexpr std::size_t take_bytes_max = 64 * 1024;
constexpr std::size_t take_events_max = 512;
constexpr std::chrono::milliseconds wake_interval{10};
/// Interests of gone listeners that are kept at the same time.
constexpr std::size_t lingering_max = event_listeners_max;
constexpr std::size_t device_places = event_listeners_max + lingering_max;

std::uint64_t hash_of(std::string_view device) noexcept {
  return std::hash<std::string_view>{}(device) | 1U;  // 0 is an empty place.
}

/// One event as text of the stream (WHATWG HTML section 9.2).
void append_event(std::string& out, std::string_view boot, std::uint64_t sequence,
                  const plugin::Event& event) {
  out.append("id: ").append(boot).append("-").append(std::to_string(sequence));
  out.append("\nevent: ").append(plugin::name_of(event.type)).append("\ndata: {");
  if (!event.device.empty()) {
    out.append("\"device\":").append(boost::json::serialize(boost::json::string(event.device)));
    out.push_back(',');
  }
  out.append("\"time\":\"").append(format_time(event.time)).append("\",\"data\":");
  const std::size_t at = out.size();
  out.append(event.data);
  // A line break would end the field: whoever published the event has broken its word.
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(at), out.end(),
      [](char c) { return c == '\n' || c == '\r'; }, ' ');
  out.append("}\n\n");
}

bool covers(std::uint32_t types, const std::string& device, const EventInterest& wish) noexcept {
  return (types & wish.types) == wish.types && (device.empty() || device == wish.device);
}

}  // namespace

struct EventHub::State {
  struct Entry {
    std::uint64_t sequence = 0;
    std::size_t bytes = 0;
    std::shared_ptr<const plugin::Event> event;
  };
  /// What a listener that has gone was interested in.
  struct Lingering {
    std::uint32_t types = 0;
    std::string device;
    std::uint64_t since = 0;
    Clock::time_point until;
  };

  State(boost::asio::io_context& io_in, EventHubOptions options_in)
      : io(io_in),
        options(options_in),
        linger_timer(io_in),
        wake_timer(io_in),
        boot(crypto::base64url_encode(crypto::random_bytes(6))) {}

  void count_interests();
  void wake_soon(const std::shared_ptr<State>& self);
  void drop_lingering(const std::shared_ptr<State>& self);
  void wake();
  std::uint64_t first_sequence() const noexcept { return next_sequence - entries.size(); }
  std::optional<std::uint64_t> resume_at(std::string_view id) const;
  bool was_covered(const EventInterest& interest, std::uint64_t from) const;

  boost::asio::io_context& io;
  const EventHubOptions options;

  // Read by all threads, written on the admin loop.
  std::atomic<std::uint32_t> types_wanted{0};
  std::atomic<std::uint32_t> types_of_all_devices{0};
  std::array<std::atomic<std::uint64_t>, device_places> devices{};
  std::atomic<std::size_t> devices_used{0};

  // Under the lock.
  std::mutex mutex;
  std::deque<Entry> entries;
  std::size_t entry_bytes = 0;
  std::uint64_t next_sequence = 1;

  std::atomic<bool> wake_is_posted{false};
  std::atomic<std::uint64_t> lost{0};

  // Admin loop only.
  std::vector<Listener*> listeners;
  std::vector<Lingering> lingering;
  boost::asio::steady_timer linger_timer;
  boost::asio::steady_timer wake_timer;
  Clock::time_point woken_at{};
  bool closed = false;
  const std::string boot;
};

void EventHub::State::count_interests() {
  std::uint32_t wanted = 0;
  std::uint32_t of_all = 0;
  std::size_t used = 0;
  const auto add = [&](std::uint32_t types, const std::string& device) {
    wanted |= types;
    if (device.empty()) {
      of_all |= types;
    } else if (used < devices.size()) {
      devices[used++].store(hash_of(device), std::memory_order_relaxed);
    }
  };
  for (const Listener* listener : listeners) {
    add(listener->interest_.types, listener->interest_.device);
  }
  for (const Lingering& gone : lingering) {
    add(gone.types, gone.device);
  }
  devices_used.store(used, std::memory_order_release);
  types_of_all_devices.store(of_all, std::memory_order_release);
  types_wanted.store(wanted, std::memory_order_release);
  if (wanted == 0) {
    const std::lock_guard lock(mutex);
    entries.clear();
    entry_bytes = 0;
  }
}

void EventHub::State::drop_lingering(const std::shared_ptr<State>& self) {
  const Clock::time_point now = Clock::now();
  std::erase_if(lingering, [now](const Lingering& gone) { return gone.until <= now; });
  count_interests();
  if (lingering.empty()) {
    return;
  }
  linger_timer.expires_at(
      std::min_element(lingering.begin(), lingering.end(), [](const auto& a, const auto& b) {
        return a.until < b.until;
      })->until);
  linger_timer.async_wait(
      [weak = std::weak_ptr<State>(self)](const boost::system::error_code& error) {
        if (const auto state = weak.lock(); state && !error) {
          state->drop_lingering(state);
        }
      });
}

/// Events may come faster than anybody reads: the listeners are woken a hundred times a second.
void EventHub::State::wake_soon(const std::shared_ptr<State>& self) {
  const Clock::time_point at = woken_at + wake_interval;
  if (Clock::now() >= at) {
    wake();
    return;
  }
  wake_timer.expires_at(at);
  wake_timer.async_wait(
      [weak = std::weak_ptr<State>(self)](const boost::system::error_code& error) {
        if (const auto state = weak.lock(); state && !error) {
          state->wake();
        }
      });
}

void EventHub::State::wake() {
  woken_at = Clock::now();
  wake_is_posted.store(false, std::memory_order_release);
  for (Listener* listener : listeners) {
    listener->timer_.cancel();
  }
}

/// The sequence behind that of an id; nullopt: it is not one of this server's run.
std::optional<std::uint64_t> EventHub::State::resume_at(std::string_view id) const {
  if (!id.starts_with(boot) || id.size() <= boot.size() + 1 || id[boot.size()] != '-') {
    return std::nullopt;
  }
  id.remove_prefix(boot.size() + 1);
  std::uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), sequence);
  if (error != std::errc{} || end != id.data() + id.size() || sequence >= next_sequence) {
    return std::nullopt;
  }
  return sequence + 1;
}

/// Has somebody wanted all of this since that sequence, so that the ring has it?
bool EventHub::State::was_covered(const EventInterest& interest, std::uint64_t from) const {
  return std::any_of(listeners.begin(), listeners.end(),
                     [&](const Listener* other) {
                       return other->since_ <= from &&
                              covers(other->interest_.types, other->interest_.device, interest);
                     }) ||
         std::any_of(lingering.begin(), lingering.end(), [&](const Lingering& gone) {
           return gone.since <= from && covers(gone.types, gone.device, interest);
         });
}

EventHub::EventHub(boost::asio::io_context& io, EventHubOptions options)
    : state_(std::make_shared<State>(io, options)) {
  SKERRY_ASSERT(options.listeners_max <= event_listeners_max && options.events_max > 0);
}

EventHub::~EventHub() {
  state_->closed = true;
}

bool EventHub::wanted(plugin::EventType type) const noexcept {
  return (state_->types_wanted.load(std::memory_order_acquire) & bit_of(type)) != 0;
}

bool EventHub::wanted_of(plugin::EventType type, std::string_view device) const noexcept {
  if (!wanted(type)) {
    return false;
  }
  if ((state_->types_of_all_devices.load(std::memory_order_acquire) & bit_of(type)) != 0) {
    return true;
  }
  const std::uint64_t hash = hash_of(device);
  const std::size_t used = state_->devices_used.load(std::memory_order_acquire);
  return std::any_of(state_->devices.begin(),
                     state_->devices.begin() + static_cast<std::ptrdiff_t>(used),
                     [hash](const std::atomic<std::uint64_t>& each) {
                       return each.load(std::memory_order_relaxed) == hash;
                     });
}

void EventHub::publish(plugin::Event event) noexcept {
  if (!wanted_of(event.type, event.device)) {
    return;
  }
  State& state = *state_;
  const auto shared = std::make_shared<const plugin::Event>(std::move(event));
  const std::size_t bytes = sizeof(State::Entry) + sizeof(plugin::Event) + shared->data.size();
  {
    const std::lock_guard lock(state.mutex);
    state.entries.push_back({state.next_sequence++, bytes, shared});
    state.entry_bytes += bytes;
    while (state.entries.size() > state.options.events_max ||
           (state.entry_bytes > state.options.bytes_max && state.entries.size() > 1)) {
      state.entry_bytes -= state.entries.front().bytes;
      state.entries.pop_front();
    }
  }
  if (!state.wake_is_posted.exchange(true, std::memory_order_acq_rel)) {
    boost::asio::post(state.io, [weak = std::weak_ptr<State>(state_)] {
      if (const auto alive = weak.lock()) {
        alive->wake_soon(alive);
      }
    });
  }
}

std::unique_ptr<EventHub::Listener> EventHub::listen(EventInterest interest,
                                                     std::string_view last_id) {
  State& state = *state_;
  if (state.closed || state.listeners.size() >= state.options.listeners_max) {
    return nullptr;
  }
  std::unique_ptr<Listener> listener(new Listener(state_, std::move(interest)));
  {
    const std::lock_guard lock(state.mutex);
    listener->next_ = state.next_sequence;
    listener->since_ = state.next_sequence;
    if (!last_id.empty()) {
      const auto at = state.resume_at(last_id);
      if (at && state.was_covered(listener->interest_, *at)) {
        listener->next_ = *at;
        listener->since_ = *at;
      } else {
        listener->gap_unknown_ = true;
      }
    }
  }
  state.listeners.push_back(listener.get());
  state.count_interests();
  return listener;
}

std::size_t EventHub::listener_count() const noexcept {
  return state_->listeners.size();
}

void EventHub::close() {
  state_->closed = true;
  state_->wake();
}

std::uint64_t EventHub::lost_count() const noexcept {
  return state_->lost.load(std::memory_order_relaxed);
}

EventHub::Listener::Listener(std::shared_ptr<State> state, EventInterest interest)
    : state_(std::move(state)), interest_(std::move(interest)), timer_(state_->io) {}

EventHub::Listener::~Listener() {
  State& state = *state_;
  std::erase(state.listeners, this);
  if (state.closed) {
    return;
  }
  if (state.lingering.size() == lingering_max) {
    state.lingering.erase(state.lingering.begin());
  }
  state.lingering.push_back(
      {interest_.types, interest_.device, since_, Clock::now() + state.options.linger});
  state.drop_lingering(state_);
}

bool EventHub::Listener::closed() const noexcept {
  return state_->closed;
}

bool EventHub::Listener::take(std::string& out) {
  std::vector<State::Entry> batch;
  bool more = false;
  std::uint64_t lost = 0;
  {
    const std::lock_guard lock(state_->mutex);
    const std::uint64_t first = state_->first_sequence();
    if (next_ < first) {
      lost = first - next_;
      next_ = first;
    }
    std::size_t bytes = 0;
    for (std::size_t i = next_ - first; i < state_->entries.size(); ++i) {
      if (batch.size() == take_events_max || bytes > take_bytes_max) {
        more = true;
        break;
      }
      batch.push_back(state_->entries[i]);
      bytes += batch.back().bytes;
    }
    next_ += batch.size();
  }
  if (lost > 0 || gap_unknown_) {
    // The id says where to go on even if nothing else follows.
    out.append("id: ")
        .append(state_->boot)
        .append("-")
        .append(std::to_string(next_ - 1 - batch.size()));
    out.append("\nevent: gap\ndata: {\"lost\":");
    out.append(gap_unknown_ ? "null" : std::to_string(lost)).append("}\n\n");
    state_->lost.fetch_add(lost, std::memory_order_relaxed);
    gap_unknown_ = false;
  }
  for (const State::Entry& entry : batch) {
    const plugin::Event& event = *entry.event;
    if ((interest_.types & bit_of(event.type)) == 0 ||
        (!interest_.device.empty() && interest_.device != event.device) ||
        (interest_.fits && !interest_.fits(event))) {
      continue;
    }
    append_event(out, state_->boot, entry.sequence, event);
  }
  return more;
}

boost::asio::awaitable<void> EventHub::Listener::wait(Clock::time_point earliest,
                                                      Clock::time_point until) {
  // A wake while nothing may be taken yet is no reason to look: the news stay where they are.
  while (!closed() && Clock::now() < until) {
    bool has_news = false;
    {
      const std::lock_guard lock(state_->mutex);
      has_news = next_ < state_->next_sequence;
    }
    const bool may_take = Clock::now() >= earliest;
    if (has_news && may_take) {
      co_return;
    }
    timer_.expires_at(has_news ? std::min(earliest, until) : until);
    boost::system::error_code ignored;
    co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
}

}  // namespace skerry::admin_api
