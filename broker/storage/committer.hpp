// Committer: the one thread that writes. Batches of all cores and of everybody else who changes the
// store join the next group; one sync makes the whole group durable, then each submitter hears of
// its own. It commits at once when idle and gathers for about a millisecond under load.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "storage/kv_store.hpp"

namespace skerry::storage {

enum class SyncMode : std::uint8_t {
  commit,    ///< completions come after the sync: acknowledged means stored
  interval,  ///< a sync every `interval`; a power cut may lose that much
  none,      ///< the operating system decides; a sync only at the end
};

/// In every mode a group that changes who may do what (Family::registry, Family::admin) is synced
/// before anybody hears of it: a revocation that was confirmed does not depend on a setting for
/// telemetry. The end of a process (kill -9) loses nothing in any mode, only that of the machine.
bool must_sync(const Batch& group) noexcept;

struct CommitterOptions {
  SyncMode sync = SyncMode::commit;
  std::chrono::milliseconds interval{100};         ///< with SyncMode::interval
  std::chrono::microseconds gather{1000};          ///< longest wait for company under load
  std::size_t queue_bytes_max = 64 * 1024 * 1024;  ///< see over_limit()
  std::chrono::milliseconds retry_first{100};      ///< wait between attempts to reopen: first …
  std::chrono::milliseconds retry_longest{5000};   ///< … doubled each time up to this
  /// Hears when the store breaks ("store_failed", or "store_damaged" when what is on disk does not
  /// check out) and when it is well again ("store_recovered"). On the committer's thread.
  std::function<void(std::string_view event, std::string_view detail)> log =
      [](std::string_view, std::string_view) {};
};

/// Upper bounds of the commit time histogram; the last bucket has none.
inline constexpr std::array<std::chrono::microseconds, 11> commit_time_bounds = {
    std::chrono::microseconds{100},      std::chrono::microseconds{250},
    std::chrono::microseconds{500},      std::chrono::microseconds{1'000},
    std::chrono::microseconds{2'500},    std::chrono::microseconds{5'000},
    std::chrono::microseconds{10'000},   std::chrono::microseconds{25'000},
    std::chrono::microseconds{100'000},  std::chrono::microseconds{500'000},
    std::chrono::microseconds{2'000'000}};

/// What the metrics endpoint shows. Any thread may read.
struct CommitterStatistics {
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> failures{0};             ///< writes and syncs that failed
  std::atomic<std::uint64_t> reopens{0};              ///< reopenings that ended well
  std::atomic<std::uint64_t> commit_microseconds{0};  ///< sum of the time in write and sync
  std::atomic<std::uint64_t> queued_bytes{0};
  std::atomic<std::uint64_t> unsynced_bytes{0};  ///< acknowledged and not on stable storage yet
  /// Commits by the time they took, not cumulative; see commit_time_bounds.
  std::array<std::atomic<std::uint64_t>, commit_time_bounds.size() + 1> commit_time_counts{};
};

class Committer {
 public:
  /// Called on the committer's thread, once for each submitted batch and in the order in which one
  /// thread submitted them. Must not block: it posts to whoever waits.
  using Done = std::function<void(const Status&)>;

  /// `store` must outlive the committer.
  Committer(KvStore& store, CommitterOptions options);
  /// Writes what was submitted, then joins the thread.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  /// Hands over a batch. Never blocks, never refuses; an empty batch completes in its turn. Batches
  /// of one thread are stored in their order. When a write fails, its whole group and everything
  /// queued at that moment end with that failure; what is submitted while the store is broken ends
  /// soon as `full` (when that was the cause) or `closed`. Any thread.
  void submit(Batch batch, Done done);

  /// Adds to a batch when its place among all others is known: what is written depends on what was
  /// written before it (a chain of hashes). Called on the committer's thread, in the order in which
  /// batches are stored; may read the store. When it fails the batch alone is not stored and ends
  /// with that status. When the group's write fails afterwards, `done` hears of it before any other
  /// Finish is called. Not called when the store is broken already.
  using Finish = std::function<Status(Batch&)>;
  void submit(Batch batch, Done done, Finish finish);

  /// The same, for a submitter that wants to hear of many batches by one call: `sink(ticket,
  /// status)` with the caller's own number. The sink must outlive the committer. Cheaper than
  /// `Done`.
  struct Sink {
    virtual ~Sink() = default;
    /// On the committer's thread, once for each group in which this sink had batches: all tickets
    /// up to `last_ticket` submitted through this sink are done, and ended with `status`.
    virtual void committed(std::uint64_t last_ticket, const Status& status) = 0;
  };
  void submit(Batch batch, Sink& sink, std::uint64_t ticket);

  /// Submits and waits for the end. For threads that may block, never for a core.
  Status write_and_wait(Batch batch);

  /// More than queue_bytes_max wait: submitters should hold their peers back. Any thread, cheap.
  bool over_limit() const noexcept;

  /// False while the store is broken and being reopened: durable work ends as an error meanwhile.
  /// True again, without a restart, when reopening and a write to Family::meta have succeeded.
  bool healthy() const noexcept;

  /// How old the oldest write is that was acknowledged and not synced since: what a power cut of
  /// this moment would lose. 0 with SyncMode::commit. With SyncMode::none an upper bound: what the
  /// operating system has written by itself is not known. Any thread.
  std::chrono::nanoseconds loss_window() const noexcept;

  SyncMode sync_mode() const noexcept;

  const CommitterStatistics& statistics() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skerry::storage
