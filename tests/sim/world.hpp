// World(seed): a machine, its clients and all that goes wrong between them, in virtual time. One
// queue of events in the order of their times drives everything; the same seed lives the same life,
// event by event, whose hash is trace_hash().
//
// A world ends by itself: after so many actions of its clients all faults are lifted, everybody
// comes back, everything comes to rest, a last crash shows what is on disk, and the oracle judges.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <queue>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sim/client.hpp"
#include "sim/connection.hpp"
#include "sim/history.hpp"
#include "sim/machine.hpp"
#include "sim/rights.hpp"
#include "sim/swarm.hpp"

namespace skerry::sim {

/// What the oracle has found, in words.
struct Finding : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct WorldOptions {
  std::uint64_t seed = 1;
  std::uint64_t off = 0;          ///< features left out, a bit each
  std::uint32_t actions_max = 0;  ///< 0: as the seed says
  shard::TestFaults faults{};     ///< bugs that are planted
  std::size_t trace_lines = 0;    ///< last events that are kept in words
  bool trace_all = false;         ///< … or printed as they happen
};

class World final : MachineListener {
 public:
  enum class Event : std::uint8_t {
    act,
    answer,
    ping,
    up,
    down,
    open,
    mail,  // from here on of one start of the server
    write,
    sync,
    complete,
    read,
    timer,
    recover,
    judge_rights,  // … to here
    fault,
    start,
    unstall,
    lift,
  };

  explicit World(const WorldOptions& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// Lives it to its end; throws Finding.
  void run();

  std::uint64_t trace_hash() const noexcept { return hash_; }
  std::uint64_t events() const noexcept { return events_; }
  const std::deque<std::string>& lines() const noexcept { return lines_; }

  // For those who live in it.
  Time now() const noexcept { return now_; }
  void schedule(Event event, Time delay, std::uint32_t a = 0, std::uint32_t b = 0);
  Connection& dial(Client& client);
  bool traced() const noexcept { return traced_; }
  void note(const char* what, std::uint64_t a, std::uint64_t b = 0);
  void note_bytes(const char* what, std::uint64_t a, std::string_view bytes);
  void line(std::string text);
  [[noreturn]] void fail(const std::string& what) { throw Finding(what); }
  void touch(std::uint32_t connection) { touched_.push_back(connection); }
  void turn(CoreIndex core, const std::function<void(shard::Shard&)>& work);
  /// Longest time in which news of one core reaches all others.
  Time lag() const noexcept { return 3 * swarm.mail_max + 20 * millisecond; }
  Client* client_of(std::uint32_t index) { return clients[index].get(); }

  // Wills, judged from what the server's side of a connection went through.
  void will_opening(const Connection& connection);
  void will_opened(const Connection& connection);
  void will_closed(const Connection& connection, session::CloseCause cause);

  const WorldOptions options;
  Swarm swarm;
  Random random;
  History history;
  Rights rights;
  Tap tap;
  std::unique_ptr<Machine> machine;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::unique_ptr<Connection>> connections;
  std::uint32_t boots = 0;
  std::uint32_t actions_left = 0;
  bool settling = false;        ///< the world is coming to its end
  bool storage_failed = false;  ///< at one time
  std::uint64_t dropped[static_cast<int>(DropReason::count_)] = {};

 private:
  struct Entry {
    Time at;
    std::uint64_t serial;
    Event event;
    std::uint32_t a;
    std::uint32_t b;
    std::uint32_t boot;
    bool operator>(const Entry& other) const noexcept {
      return at != other.at ? at > other.at : serial > other.serial;
    }
  };
  /// What became of the will of a client's last connection.
  struct Will {
    MessageNumber message = 0;
    std::uint32_t delay_seconds = 0;  ///< until it is due, or its session ends
    bool kept = false;                ///< with its session, over a crash
    bool waits = false;
    Time due = never;     ///< not before
    Time due_by = never;  ///< surely then: later after a crash that took its session's record back
  };

  // MachineListener
  void on_mail(std::uint16_t from, std::uint16_t to) override;
  void on_commit(std::uint16_t core) override;
  void on_read(std::uint16_t core) override;
  void on_turn(std::uint16_t core) override;
  void on_log(std::string text) override;

  bool step(Time until);
  void dispatch(const Entry& entry);
  void set_now(Time now);
  void arm_timer(std::uint16_t core);
  Time later(Time delay_max) { return random.between(0, delay_max); }

  // faults.cpp
  void plan_faults();
  void fault();
  void storage_fault(Feature what);
  void tell_completion(std::uint16_t core, std::uint64_t ticket, const storage::Status& status);
  void start_writing();
  void write_group();
  void sync_group();
  void finish_group(const storage::Status& status);
  void fail_waiting(const storage::Status& status);
  void recover_storage();
  void crash(bool orderly);
  void start_server();
  void count_drops();
  void change_rights(bool of_owner);
  void judge_rights(std::uint32_t client, std::uint16_t core);
  void operator_ends();
  void stall();
  void publish_by_broker();
  void lift(std::uint32_t what, std::uint32_t client);

  // ending.cpp
  void settle();
  bool at_rest() const;
  void run_for(Time duration);
  void end_sessions();
  void check_empty();
  void check_caps();
  void will_due(Will& will);
  void wills_of_restart();
  void wills_uncertain(Time since);
  void wills_not_cancelled(Time since);
  void failed(const Machine::Commit& commit);
  bool made_good() const;
  Time unstored_since() const;

  MachineOptions machine_options();

  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
  std::uint64_t serial_ = 0;
  std::uint64_t events_ = 0;
  Time now_ = 0;
  std::uint64_t hash_ = 0xcbf29ce484222325;
  bool traced_ = false;
  std::deque<std::string> lines_;
  std::vector<Time> timer_at_;              ///< armed for each core
  std::vector<std::vector<Time>> mail_at_;  ///< of the last mail of each pair
  std::vector<Time> complete_at_;
  std::vector<std::uint32_t> touched_;  ///< connections that were written to in this turn
  std::vector<Will> wills_;
  std::vector<std::uint32_t> judged_missing_;  ///< cores that have not judged a client's rights
  // The committer: one group at a time, written and then synced.
  std::vector<Machine::Commit> group_;
  bool writing_ = false;
  bool broken_ = false;  ///< has failed and was not opened again
  /// When the first of the batches was handed over that have failed and are not made good.
  SteadyTime failed_since_ = SteadyTime::max();
  bool faulty_ = false;      ///< the disk
  Client* probe_ = nullptr;  ///< asks for retained messages

  friend class Oracle;
  friend class Connection;
};

}  // namespace skerry::sim
