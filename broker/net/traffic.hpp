// Traffic: all connections of one core in motion. It owns the core's epoll set (level-triggered),
// the one read buffer, the list of connections to be written at the end of the turn and their
// deadlines. It reads bytes, cuts frames and hands them to Admission (before CONNECT is judged) or
// to the Shard; it writes what sessions have put into the outputs.
//
// Costs that matter: one read per ready socket, one write per dirty connection and turn, epoll_ctl
// only when the socket would block or the session pauses. Nothing here waits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/counters.hpp"
#include "net/connection_table.hpp"
#include "net/deadline_heap.hpp"
#include "net/lobby.hpp"
#include "net/options.hpp"

struct epoll_event;

namespace skerry::net {

class Admission;

class Traffic {
 public:
  /// `core_count`: among how many the limits on who has not been let in yet are divided.
  Traffic(const Limits& limits, std::uint16_t core_count, shard::Shard& shard, Counters& counters);
  ~Traffic();
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  /// Once, before anything else.
  void set_admission(Admission& admission) noexcept { admission_ = &admission; }

  /// Before the first connection. Null: as if there were always enough.
  void set_memory(const MemoryBudget* memory) noexcept { memory_ = memory; }

  /// Puts a listening socket into the set; round() reports it by `index`.
  void watch_listener(int descriptor, std::uint32_t index, bool on);

  /// Puts the descriptor of a WorkQueue into the set; round() reports it as `woken`.
  void watch_work(int descriptor);

  /// Every turn begins with this.
  void begin_turn(Now now) noexcept;
  SteadyTime turn() const noexcept { return turn_; }

  /// What one look at the set has found.
  struct Round {
    std::size_t events = 0;
    bool woken = false;                    ///< there is something in the work queue
    std::vector<std::uint32_t> listeners;  ///< those with connections to accept
  };
  /// Looks at the set and waits until something is ready or `time_max` has passed.
  void wait(Milliseconds time_max);
  /// Serves once every socket that wait() has found. `round` is reused by the caller.
  void serve(Round& round, Now now);

  /// Takes a new connection and begins to watch it; `deadline` ends it unless it is attached
  /// before. `address`: a hash, for those who come from outside and are still to be let in.
  Connection& add(std::unique_ptr<Connection> connection, SteadyTime deadline,
                  std::optional<std::uint64_t> address = std::nullopt);

  /// Is there no room for one more who has not been let in?
  bool lobby_full() const noexcept { return lobby_.full(); }
  /// Sends somebody away to make room for a newcomer of `address`. False: the newcomer should go.
  bool make_room(std::uint64_t address);

  /// Is there a TLS handshake to go on with, and time for it?
  bool may_shake_hands(Now now) noexcept;
  /// Goes on with TLS handshakes for a moment (half a millisecond, or one step). A turn of its own,
  /// so that messages never wait for more than that.
  void shake_hands(Now now);

  /// Takes the connection out for another core: it is not watched here any more.
  std::unique_ptr<Connection> release(Connection& connection);

  /// nullptr when it has gone.
  Connection* find(ConnectionId id) const noexcept { return table_.find(id); }

  /// Hands bytes to the frame decoder and the frames on. False when reading should stop: the
  /// connection is closing, waits for its authenticator or is no longer here.
  bool consume(Connection& connection, Bytes bytes, Now now);

  /// Reads once without waiting for readiness (TLS may hold bytes that no readiness tells of).
  void read_soon(Connection& connection);

  /// Marks the connection as attached to its session and sets the deadline of its certificate.
  void attach(Connection& connection, shard::Shard::SessionId session, WallTime not_after, Now now);

  /// Stops reading while the authenticator works.
  void wait_for_authenticator(Connection& connection);

  // What the Link of a session asks for.
  void mark_dirty(Connection& connection);
  void begin_close(Connection& connection);
  void pause(Connection& connection, bool paused);
  void set_not_after(Connection& connection, WallTime when);

  /// Ends a connection that was never attached, after what is in its output.
  void refuse(Connection& connection);

  /// Writes to dirty connections, at most a budget of them, so that timers stay on time.
  void flush(Now now);

  /// There are connections left to write or to read although no socket will tell: take another
  /// turn.
  bool unfinished() const noexcept { return dirty_next_ < dirty_.size() || !read_soon_.empty(); }

  SteadyTime next_deadline() const noexcept {
    return std::min(deadlines_.earliest(), handshakes_again_);
  }
  void on_timer(Now now);

  /// Ends all connections that have no session; those with one are the shard's to end.
  void close_unattached();
  /// Cuts every connection, at the end of a shutdown.
  void close_all();

  std::size_t size() const noexcept { return table_.size(); }

 private:
  // One read takes at most this much; what is larger comes in pieces.
  static constexpr std::size_t scratch_bytes = ReadQuantum::most;

  void on_event(const epoll_event& event, Now now);
  void on_handshake_event(Connection& connection, std::uint32_t events, Now now);
  void line_up(Connection& connection, Now now);
  void handshake_step(Connection& connection, Now now);
  void cut_stalled(Now now);
  void shed(Connection& connection, ShedReason reason);
  void on_readable(Connection& connection, Now now);
  void serve_pending(Now now);
  void lost(Connection& connection, Now now);
  void violation(Connection& connection, const mqtt::Violation& violation, Now now);
  std::size_t write(Connection& connection, Now now);
  std::optional<std::size_t> send_some(Connection& connection, Now now);
  std::size_t output_bytes_max(const Connection& connection) const noexcept;
  void count_memory(Connection& connection) noexcept;
  void forget_memory(Connection& connection) noexcept;
  bool may_keep_input(Connection& connection, Now now);
  void end_slow_consumers(Now now);
  void finish_close(Connection& connection);
  void drain(Connection& connection);
  void destroy(Connection& connection);
  void update_interest(Connection& connection);
  void expire(Connection& connection, Now now);

  const Limits& limits_;
  shard::Shard& shard_;
  Counters& counters_;
  Admission* admission_ = nullptr;
  const MemoryBudget* memory_ = nullptr;
  SteadyTime slow_consumers_at_{};  // next look for them
  int epoll_ = -1;
  ConnectionTable table_;
  DeadlineHeap deadlines_;
  std::vector<ConnectionId> dirty_;
  std::size_t dirty_next_ = 0;  // those before it have been written
  std::vector<ConnectionId> read_soon_;
  std::unique_ptr<std::uint8_t[]> scratch_;
  std::unique_ptr<epoll_event[]> events_;
  std::size_t ready_ = 0;      // of events_, found by wait()
  SteadyTime turn_{};          // when the last turn began
  std::size_t lingering_ = 0;  // connections in closing and draining
  Lobby lobby_;
  const Rate handshake_rate_;  // microseconds a second
  TokenBucket handshake_budget_;
  SteadyTime handshakes_again_ = SteadyTime::max();  // when those in line are looked at again
};

}  // namespace skerry::net
