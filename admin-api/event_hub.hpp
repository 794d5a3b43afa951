// EventHub: the live stream's middle. Parts of the server publish events from any thread, listeners
// on the admin loop read them from one bounded ring. Who is slow loses the oldest and is told how
// many; nobody makes the ring grow, and nothing is kept while nobody listens.
//
//   core ─publish─▶ ring (short lock) ─▶ Listener::take ─▶ text/event-stream
//            └─ wakes the admin loop once until it has looked
//
// An id is "<start of this server>-<sequence>". A listener that comes back with the last one it saw
// goes on behind it when the ring still has that, and when somebody with the same interest has been
// noted since: interests linger for a minute after their listener has gone.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "plugin/event_sink.hpp"

namespace skerry::admin_api {

/// Which events a listener wants.
struct EventInterest {
  std::uint32_t types = 0;  ///< bits by EventType; see all_event_types
  std::string device;       ///< only of this device; empty: of all
  /// Asked on the admin loop for each event that fits otherwise; empty: all fit.
  std::function<bool(const plugin::Event&)> fits;
};

constexpr std::uint32_t bit_of(plugin::EventType type) noexcept {
  return 1U << static_cast<unsigned>(type);
}
inline constexpr std::uint32_t all_event_types = 2 * bit_of(plugin::EventType::certificate) - 1;

/// What the ring may hold.
struct EventHubOptions {
  std::size_t events_max = event_ring_events_max;
  std::size_t bytes_max = event_ring_bytes_max;
  std::size_t listeners_max = event_listeners_max;
  std::chrono::milliseconds linger{60'000};
};

class EventHub final : public plugin::EventSink {
  struct State;

 public:
  /// `io`: the admin loop; must outlive the hub.
  explicit EventHub(boost::asio::io_context& io, EventHubOptions options = {});
  ~EventHub() override;
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  // Any thread.
  bool wanted(plugin::EventType type) const noexcept override;
  bool wanted_of(plugin::EventType type, std::string_view device) const noexcept override;
  void publish(plugin::Event event) noexcept override;

  /// One stream's place in the ring. Admin loop only; may outlive the hub.
  class Listener {
   public:
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    /// Appends what has come for this listener since the last call, as text of the stream, a gap
    /// before it if there is one. True: it stopped at its caps, there is more to take.
    bool take(std::string& out);
    /// Resumes when take() may give more, but not before `earliest`; when the hub closes; or at
    /// `until`.
    boost::asio::awaitable<void> wait(std::chrono::steady_clock::time_point earliest,
                                      std::chrono::steady_clock::time_point until);
    bool closed() const noexcept;

   private:
    friend class EventHub;
    Listener(std::shared_ptr<State> state, EventInterest interest);

    std::shared_ptr<State> state_;
    EventInterest interest_;
    boost::asio::steady_timer timer_;
    std::uint64_t next_ = 0;    ///< sequence of the event to look at next
    std::uint64_t since_ = 0;   ///< sequence from which on the ring has its events
    bool gap_unknown_ = false;  ///< it has missed nobody knows how many
  };

  /// nullptr: there are as many listeners as there may be, or the hub is closed. `last_id`: of
  /// Last-Event-ID, empty for a listener that begins now. Admin loop only.
  std::unique_ptr<Listener> listen(EventInterest interest, std::string_view last_id);

  std::size_t listener_count() const noexcept;
  /// Ends all listeners and takes no more. Admin loop only.
  void close();
  /// Events that a listener was too slow for, for metrics. Any thread.
  std::uint64_t lost_count() const noexcept;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace skerry::admin_api
