// Core: one thread, one event loop, one shard, nothing shared. It waits for nothing but Traffic's
// epoll set, which holds the sockets, the ports and the work queue; deadlines are how long it
// waits.
//
// One turn: events or one piece of work → shard → Shard::end_of_turn (one commit, one mail per
// destination) → flush of the connections that have something to say.
#pragma once

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/counters.hpp"
#include "net/admission.hpp"
#include "net/completion.hpp"
#include "net/doors.hpp"
#include "net/options.hpp"
#include "net/presence.hpp"
#include "net/traffic.hpp"
#include "net/work_queue.hpp"
#include "shard/outside.hpp"
#include "shard/shard.hpp"

namespace skerry::net {

class Core;

/// What the cores of a server share; lives in Server.
struct Common {
  ServerOptions options;
  std::atomic<std::uint64_t> next_id{1};
  std::atomic<std::size_t> broker_message_bytes{0};  // handed over and not yet routed
  std::atomic<bool> stopped{false};
  std::unique_ptr<Doors> doors;  // set by the server, before the cores
  std::shared_ptr<shard::RestoreTable> restore = shard::make_restore_table();
  std::unique_ptr<PresenceTable> presence;  // set by the server, before the cores
  std::vector<std::unique_ptr<Core>> cores;
};

class Core final : public shard::Outside {
 public:
  Core(Common& common, CoreIndex index);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// Adopts a bound socket for `listener`. Before start().
  void add_socket(const Listener& listener, int descriptor);

  /// For load() before start(); afterwards the core's own.
  shard::Shard& shard() noexcept { return shard_; }

  /// Starts the thread, which calls Shard::start; `ready` is called there when that is done.
  void start(std::function<void()> ready);
  /// Opens the ports: clients may connect when it returns. After every core is ready.
  void listen();

  /// Runs `work` as a turn of this core. Any thread.
  void post(std::function<void(shard::Shard&, Now)> work);
  /// Runs `work` on this core's thread after `delay`, outside any turn; never when the core stops
  /// before. Any thread.
  void run_after(Milliseconds delay, std::function<void()> work);

  /// Stops accepting, ends the sessions, writes what is left and leaves the loop, within about
  /// three seconds. Any thread; join() afterwards.
  void stop();
  void join();

  const Counters& counters() const noexcept { return counters_; }
  /// When the loop last turned, in milliseconds of the steady clock. Any thread.
  std::int64_t heartbeat() const noexcept { return heartbeat_.load(std::memory_order_relaxed); }

  // shard::Outside
  void send(CoreIndex to, shard::MailBatch mail) override;
  void commit(storage::Batch batch, std::uint64_t ticket) override;
  void read(shard::ReadRequest request) override;
  bool congested() const noexcept override { return congested_; }
  bool space_low() const noexcept override {
    const std::atomic<bool>* const low = common_.options.space_low;
    return low != nullptr && low->load(std::memory_order_relaxed);
  }
  bool mailbox_full(CoreIndex core) const noexcept override;
  void log(int level, std::string_view event, std::string_view client,
           std::string_view detail) override;

 private:
  struct Socket {
    const Listener* listener = nullptr;
    int descriptor = -1;
    bool watched = false;
  };

  void run(const std::function<void()>& ready);
  void loop();
  Milliseconds wait_time();
  SteadyTime next_deadline() const noexcept;
  void accept_from(std::uint32_t index, Now now);
  void admit(std::uint32_t index, int descriptor, const sockaddr_storage& peer, Now now);
  std::optional<ShedReason> find_place(std::uint32_t listener, std::uint64_t address, Now now,
                                       Place& place);
  void tell_shed(Now now);
  void pause_accepting(SteadyTime until);
  void resume_accepting();
  template <typename Work>
  void turn(Work&& work) {
    const Now now = read_clocks();
    begin_turn(now);
    work(now);
    end_turn(now);
  }
  void begin_turn(Now now);
  void end_turn(Now now);
  bool unfinished(Now now);
  void on_deadline();
  void run_due(Now now);
  void on_committed();
  void receive(CoreIndex from, shard::MailBatch mail);
  void move(CoreIndex to, Arrival arrival);
  void begin_stop(Now now);
  bool quiet() const noexcept;
  void measure_congestion() noexcept;

  Common& common_;
  const CoreIndex index_;
  Counters counters_;
  std::shared_ptr<WorkQueue> work_;
  shard::Shard shard_;
  Traffic traffic_;
  Admission admission_;
  Completion completion_;
  std::multimap<SteadyTime, std::function<void()>> due_;  ///< of run_after()
  SteadyTime looked_at_{};  ///< the deadlines, which happens at least every heartbeat
  SteadyTime accept_again_ = SteadyTime::max();
  SteadyTime stop_at_ = SteadyTime::max();
  std::vector<Socket> listening_;  // in the order of ServerOptions::listeners
  SteadyTime shed_told_at_{};
  std::array<std::uint64_t, static_cast<std::size_t>(ShedReason::count_)> shed_told_{};
  Traffic::Round round_;
  std::uint64_t submitted_ = 0;  // last ticket given to the committer
  std::uint64_t completed_ = 0;  // last ticket heard of
  bool congested_ = false;
  bool stopping_ = false;
  bool ended_ = false;
  std::atomic<std::int64_t> heartbeat_{0};
  std::atomic<std::size_t> mailbox_bytes_{0};  // sent to this core and not yet received
  std::thread thread_;
};

}  // namespace skerry::net
