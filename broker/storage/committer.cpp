// The committer's thread.
//
//   healthy ──failed write or sync──▶ broken: all that waits ends as a failure
//      ▲                                 │ at once, then with growing pauses:
//      └────── reopen and probe succeed ─┘
//
// Under load, that is when the last group had company or somebody queued during the commit, it
// waits for `gather` before it takes the next group: half the syncs for a millisecond of delay.
#include "storage/committer.hpp"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace skerry::storage {

namespace {

using Clock = std::chrono::steady_clock;

/// More than this is not put into one write, and ends the gathering.
constexpr std::size_t group_bytes_max = 16 * 1024 * 1024;

/// A group that grew beyond this gives its memory back.
constexpr std::size_t group_bytes_kept = 4 * 1024 * 1024;

constexpr std::string_view probe_key = "committer_probe";

/// A submitted batch with whom to tell: `sink` when set, otherwise `done`.
struct Entry {
  Batch batch;
  Committer::Done done;
  Committer::Sink* sink = nullptr;
  std::uint64_t ticket = 0;
  Committer::Finish finish = {};
  Status refused = {};  ///< by `finish`: this batch alone is not stored
};

struct SinkResult {
  Committer::Sink* sink;
  std::uint64_t last_ticket;
};

}  // namespace

bool must_sync(const Batch& group) noexcept {
  bool found = false;
  group.for_each([&found](Batch::Kind, Family family, std::string_view, std::string_view) {
    found = found || family == Family::registry || family == Family::admin;
  });
  return found;
}

struct Committer::Impl {
  Impl(KvStore& kv_store, CommitterOptions committer_options)
      : store(kv_store), options(std::move(committer_options)) {}

  void submit(Entry entry);
  void run();
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  void gather(std::unique_lock<std::mutex>& lock);
  void take_queue();
  void commit_taken();
  std::size_t build_group(std::size_t first);
  Status write_group();
  void count_commit(Clock::duration time, std::size_t batches);
  void complete(std::size_t first, std::size_t last, const Status& status);
  void sync_if_due(bool at_end);
  void note_unsynced(std::size_t bytes);
  void note_synced();
  void mark_broken(const Status& status);
  void fail_taken();
  void try_recovery();
  Status probe();

  KvStore& store;
  const CommitterOptions options;
  CommitterStatistics statistics;
  std::atomic<bool> healthy{true};
  /// When the oldest write that is not synced ended, by Clock; 0: there is none.
  std::atomic<Clock::rep> unsynced_since{0};

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Entry> queue;     ///< guarded by mutex
  std::size_t queue_bytes = 0;  ///< guarded by mutex
  bool stopping = false;        ///< guarded by mutex
  bool is_waiting = false;      ///< guarded by mutex: the thread wants to hear of a submit
  std::thread thread;

  // The thread's own.
  std::vector<Entry> taken;
  std::vector<SinkResult> sinks;
  Batch group;
  bool under_load = false;
  bool is_dirty = false;         ///< written and not synced
  Clock::time_point sync_due{};  ///< when is_dirty; max(): at the end
  Status refusal;                ///< what submitters hear while broken
  Clock::time_point retry_at{};
  Clock::time_point broken_at{};
  std::chrono::milliseconds retry_pause{0};
};

void Committer::Impl::submit(Entry entry) {
  const std::size_t bytes = entry.batch.size_bytes();
  statistics.queued_bytes.fetch_add(bytes, std::memory_order_relaxed);
  bool wake = false;
  {
    const std::lock_guard lock(mutex);
    queue.push_back(std::move(entry));
    queue_bytes += bytes;
    wake = is_waiting || queue_bytes >= group_bytes_max;
    is_waiting = false;
  }
  if (wake) {
    changed.notify_one();
  }
}

void Committer::Impl::run() {
  pthread_setname_np(pthread_self(), "skerry-commit");
  for (;;) {
    bool last_round = false;
    {
      std::unique_lock lock(mutex);
      wait_for_work(lock);
      if (healthy && under_load && !queue.empty()) {
        gather(lock);
      }
      take_queue();
      last_round = stopping;
    }
    if (healthy) {
      commit_taken();
    } else {
      fail_taken();
    }
    sync_if_due(last_round);
    if (!healthy && Clock::now() >= retry_at && !last_round) {
      try_recovery();
    }
    const std::lock_guard lock(mutex);
    if (stopping && queue.empty() && last_round) {
      return;
    }
    under_load = under_load || !queue.empty();
  }
}

/// Returns when there is a batch, the end, a sync that is due or a reopening that is due.
void Committer::Impl::wait_for_work(std::unique_lock<std::mutex>& lock) {
  const auto has_work = [this] { return stopping || !queue.empty(); };
  const bool has_deadline = !healthy || (is_dirty && sync_due != Clock::time_point::max());
  const Clock::time_point deadline = healthy ? sync_due : retry_at;
  while (!has_work()) {
    is_waiting = true;
    if (!has_deadline) {
      changed.wait(lock);
    } else if (changed.wait_until(lock, deadline) == std::cv_status::timeout) {
      break;
    }
  }
  is_waiting = false;
}

/// Lets a group grow. Submitters do not wake the thread meanwhile, unless the group is large.
void Committer::Impl::gather(std::unique_lock<std::mutex>& lock) {
  changed.wait_for(lock, options.gather,
                   [this] { return stopping || queue_bytes >= group_bytes_max; });
}

void Committer::Impl::take_queue() {
  taken.swap(queue);
  queue_bytes = 0;
}

void Committer::Impl::commit_taken() {
  std::size_t first = 0;
  while (first < taken.size() && healthy) {
    std::size_t last = build_group(first);
    const Clock::time_point start = Clock::now();
    const Status status = write_group();
    count_commit(Clock::now() - start, last - first);
    if (group.size_bytes() > group_bytes_kept) {
      group = Batch();
    }
    under_load = last - first > 1;
    if (!status.ok()) {
      mark_broken(status);
      const std::lock_guard lock(mutex);
      // Whoever queued behind the group has not heard of the failure: storing theirs would leave a
      // gap in what one submitter wrote.
      std::move(queue.begin(), queue.end(), std::back_inserter(taken));
      queue.clear();
      queue_bytes = 0;
      last = taken.size();
    }
    complete(first, last, status);
    first = last;
  }
  taken.clear();
}

/// Gathers batches from taken[first] on; the index behind the last one.
std::size_t Committer::Impl::build_group(std::size_t first) {
  group.clear();
  std::size_t last = first;
  do {
    Entry& entry = taken[last];
    const std::size_t bytes = entry.batch.size_bytes();
    if (entry.finish) {
      entry.refused = entry.finish(entry.batch);
      // complete() takes back what is counted here.
      statistics.queued_bytes.fetch_add(entry.batch.size_bytes() - bytes,
                                        std::memory_order_relaxed);
    }
    if (entry.refused.ok()) {
      group.append(entry.batch);
    }
    ++last;
  } while (last < taken.size() &&
           group.size_bytes() + taken[last].batch.size_bytes() <= group_bytes_max);
  return last;
}

Status Committer::Impl::write_group() {
  if (group.empty()) {
    return {};
  }
  const bool synced = options.sync == SyncMode::commit || must_sync(group);
  Status status = store.write(group, synced);
  if (status.ok()) {
    retry_pause = std::chrono::milliseconds{0};
    if (synced) {
      note_synced();
    } else {
      note_unsynced(group.size_bytes());
    }
  }
  return status;
}

void Committer::Impl::note_unsynced(std::size_t bytes) {
  const Clock::time_point now = Clock::now();
  if (!is_dirty) {
    is_dirty = true;
    sync_due =
        options.sync == SyncMode::interval ? now + options.interval : Clock::time_point::max();
  }
  statistics.unsynced_bytes.fetch_add(bytes, std::memory_order_relaxed);
  if (unsynced_since.load(std::memory_order_relaxed) == 0) {
    unsynced_since.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
}

/// A sync takes everything with it that was written before.
void Committer::Impl::note_synced() {
  is_dirty = false;
  unsynced_since.store(0, std::memory_order_relaxed);
  statistics.unsynced_bytes.store(0, std::memory_order_relaxed);
}

void Committer::Impl::count_commit(Clock::duration time, std::size_t batches) {
  const auto taken_time = std::chrono::duration_cast<std::chrono::microseconds>(time);
  const auto bucket =
      std::lower_bound(commit_time_bounds.begin(), commit_time_bounds.end(), taken_time) -
      commit_time_bounds.begin();
  const auto relaxed = std::memory_order_relaxed;
  statistics.batches.fetch_add(batches, relaxed);
  statistics.operations.fetch_add(group.count(), relaxed);
  statistics.bytes.fetch_add(group.size_bytes(), relaxed);
  statistics.commit_microseconds.fetch_add(static_cast<std::uint64_t>(taken_time.count()), relaxed);
  statistics.commit_time_counts[static_cast<std::size_t>(bucket)].fetch_add(1, relaxed);
  statistics.commits.fetch_add(1, relaxed);
}

/// Tells the submitters of taken[first … last), each sink once.
void Committer::Impl::complete(std::size_t first, std::size_t last, const Status& status) {
  sinks.clear();
  std::size_t bytes = 0;
  for (std::size_t index = first; index < last; ++index) {
    Entry& entry = taken[index];
    bytes += entry.batch.size_bytes();
    if (entry.sink == nullptr) {
      continue;
    }
    const auto known = std::find_if(sinks.begin(), sinks.end(), [&](const SinkResult& result) {
      return result.sink == entry.sink;
    });
    if (known == sinks.end()) {
      sinks.push_back({entry.sink, entry.ticket});
    } else {
      known->last_ticket = entry.ticket;
    }
  }
  statistics.queued_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  for (const SinkResult& result : sinks) {
    result.sink->committed(result.last_ticket, status);
  }
  for (std::size_t index = first; index < last; ++index) {
    if (taken[index].done) {
      const Status& refused = taken[index].refused;
      taken[index].done(refused.ok() || !status.ok() ? status : refused);
    }
  }
}

void Committer::Impl::sync_if_due(bool at_end) {
  if (!is_dirty || !healthy || (Clock::now() < sync_due && !at_end)) {
    return;
  }
  const Status status = store.sync();
  if (status.ok()) {
    note_synced();
  } else {
    mark_broken(status);
  }
}

void Committer::Impl::mark_broken(const Status& status) {
  statistics.failures.fetch_add(1, std::memory_order_relaxed);
  healthy = false;
  // What was acknowledged and not synced stays in doubt until the store is open again: reopening
  // writes it to new, synced files.
  is_dirty = false;
  broken_at = Clock::now();
  options.log(status.code == StatusCode::corruption ? "store_damaged" : "store_failed",
              status.detail);
  refusal.code = status.code == StatusCode::full ? StatusCode::full : StatusCode::closed;
  refusal.detail = "the store is being reopened after a failure: " + status.detail;
  // At once the first time; a store that breaks again before a batch was stored has to wait.
  retry_at = Clock::now() + retry_pause;
}

void Committer::Impl::fail_taken() {
  complete(0, taken.size(), refusal);
  taken.clear();
}

void Committer::Impl::try_recovery() {
  retry_pause = std::clamp(retry_pause * 2, options.retry_first, options.retry_longest);
  Status status = store.reopen();
  if (status.ok()) {
    status = probe();
  }
  if (!status.ok()) {
    retry_at = Clock::now() + retry_pause;
    return;
  }
  statistics.reopens.fetch_add(1, std::memory_order_relaxed);
  note_synced();
  under_load = false;
  healthy = true;
  const auto down = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - broken_at);
  options.log("store_recovered", "opened again after " + std::to_string(down.count()) + " ms");
}

/// Synced: it stands for everything that reopening has brought back.
Status Committer::Impl::probe() {
  group.clear();
  group.put(Family::meta, probe_key, "1");
  return store.write(group, true);
}

Committer::Committer(KvStore& store, CommitterOptions options)
    : impl_(std::make_unique<Impl>(store, std::move(options))) {
  impl_->thread = std::thread([this] { impl_->run(); });
}

Committer::~Committer() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

void Committer::submit(Batch batch, Done done) {
  impl_->submit({std::move(batch), std::move(done)});
}

void Committer::submit(Batch batch, Done done, Finish finish) {
  Entry entry{std::move(batch), std::move(done)};
  entry.finish = std::move(finish);
  impl_->submit(std::move(entry));
}

void Committer::submit(Batch batch, Sink& sink, std::uint64_t ticket) {
  impl_->submit({std::move(batch), {}, &sink, ticket});
}

Status Committer::write_and_wait(Batch batch) {
  SKERRY_ASSERT(std::this_thread::get_id() != impl_->thread.get_id());
  std::mutex mutex;
  std::condition_variable changed;
  bool is_done = false;
  Status result;
  submit(std::move(batch), [&](const Status& status) {
    // Notified under the lock: the waiter's stack frame ends right after.
    const std::lock_guard lock(mutex);
    result = status;
    is_done = true;
    changed.notify_one();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return is_done; });
  return result;
}

bool Committer::over_limit() const noexcept {
  return impl_->statistics.queued_bytes.load(std::memory_order_relaxed) >
         impl_->options.queue_bytes_max;
}

bool Committer::healthy() const noexcept {
  return impl_->healthy;
}

std::chrono::nanoseconds Committer::loss_window() const noexcept {
  const Clock::rep since = impl_->unsynced_since.load(std::memory_order_relaxed);
  return since == 0 ? Clock::duration::zero()
                    : Clock::now().time_since_epoch() - Clock::duration(since);
}

SyncMode Committer::sync_mode() const noexcept {
  return impl_->options.sync;
}

const CommitterStatistics& Committer::statistics() const noexcept {
  return impl_->statistics;
}

}  // namespace skerry::storage
