// Machine: one server without threads, sockets or clocks: the shards of its cores, the mail between
// them, what they have handed to the committer, and a store that fails and forgets. Whoever owns it
// decides what happens when, in any order that is legal: mail in order per pair of cores, commits
// in order, completions in order per core. The simulator gives each of these a time; the unit tests
// of the shard step them one by one.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.hpp"
#include "base/keyed_hash.hpp"
#include "base/limits.hpp"
#include "base/now.hpp"
#include "shard/reading.hpp"
#include "shard/shard.hpp"
#include "storage/kv_store.hpp"

namespace skerry::sim {

struct MachineOptions {
  std::uint16_t cores = 1;
  Limits limits{};
  const plugin::Authorizer* authorizer = nullptr;
  plugin::MessageTap* tap = nullptr;
  shard::StillValid still_valid;
  bool drop_revoked_queues = true;
  plugin::PresenceSink* presence = nullptr;
  shard::TestFaults faults{};  ///< bugs that are planted
};

/// Hears what a machine does; everything has an empty default.
class MachineListener {
 public:
  virtual void on_mail(std::uint16_t from, std::uint16_t to);
  virtual void on_commit(std::uint16_t core);
  virtual void on_read(std::uint16_t core);
  /// A turn of `core` has ended.
  virtual void on_turn(std::uint16_t core);
  virtual void on_log(std::string line);

 protected:
  ~MachineListener() = default;
};

class Machine {
 public:
  struct Commit {
    std::uint16_t core;
    std::uint64_t ticket;
    storage::Batch batch;
    SteadyTime handed_over{};
  };
  struct Completion {
    std::uint64_t ticket;
    storage::Status status;
  };
  struct Read {
    std::uint16_t core;
    shard::ReadRequest request;
  };
  struct InTransit {
    std::uint16_t from;
    std::uint16_t to;
    shard::MailBatch mail;
  };

  /// Nothing runs before start().
  Machine(MachineOptions options, MachineListener& listener);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Reads the store and begins; false: a record was damaged. Ends when all cores have told each
  /// other what is subscribed, as the ports of a real server open then.
  bool start();
  /// The process is gone: mail, commits that were not written and completions with it. The store
  /// stays as it is. `cores_after` 0: as many as before.
  void kill(std::uint16_t cores_after = 0);
  bool running() const noexcept { return !shards_.empty(); }

  /// Runs `work` as a turn of `core`.
  void turn(CoreIndex core, const std::function<void(shard::Shard&)>& work);
  /// Delivers mail[index], which must be the oldest of its pair of cores.
  void deliver(std::size_t index);
  /// Delivers the oldest mail of a pair; false: there is none.
  bool deliver(std::uint16_t from, std::uint16_t to);
  bool first_of_pair(std::size_t index) const;
  /// Tells `core` of its oldest completion; false: there is none.
  bool complete(std::uint16_t core);
  /// Reads queued messages for the oldest request and tells its core; false: there is none.
  bool answer_read();
  bool timer_due(std::uint16_t core) const;
  void on_timer(std::uint16_t core);

  shard::Shard& shard(CoreIndex core) { return *shards_[core.value]; }
  Counters& counters(std::uint16_t core) { return *counters_[core]; }
  storage::MemoryStore& store() { return *store_; }
  const MachineOptions& options() const noexcept { return options_; }
  Limits& limits() { return options_.limits; }
  std::uint16_t core_count() const noexcept { return options_.cores; }
  HashKey hash_key() const noexcept { return hash_key_; }
  CoreIndex home(std::string_view owner, std::string_view client_id) const;
  std::uint64_t dropped(DropReason reason) const;
  std::size_t records(storage::Family family) const;

  Now now;
  std::deque<InTransit> mail;
  std::deque<Commit> commits;  ///< handed over and not written
  std::vector<std::deque<Completion>> completions;
  std::deque<Read> reads;  ///< asked for and not answered
  bool congested = false;
  bool mailbox_full = false;
  bool broke_contract = false;  ///< a shard sent mail to itself or skipped a ticket

 private:
  struct Side;  // shard::Outside of one shard

  void build();
  bool load();

  MachineOptions options_;
  MachineListener& listener_;
  HashKey hash_key_{{0x0123456789abcdef, 0xfedcba9876543210}};
  std::unique_ptr<storage::MemoryStore> store_;
  std::atomic<std::uint64_t> next_id_{1};
  std::vector<std::unique_ptr<Counters>> counters_;
  std::vector<std::unique_ptr<Side>> sides_;
  std::vector<std::unique_ptr<shard::Shard>> shards_;
};

}  // namespace skerry::sim
