// Audit: the append-only, hash-chained record of who changed what and who was refused (ADR 0013).
// There is one chain. A record gets its place when the committer builds the group that stores it,
// so that the order of the chain is the order on disk and a change is never there without its
// record. What it deliberately does not do is decide what is worth a record: its callers do.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

#include "auth/audit_record.hpp"
#include "auth/audit_refusals.hpp"
#include "base/now.hpp"
#include "plugin/audit.hpp"
#include "storage/committer.hpp"

namespace skerry::auth {

/// Thread-safe once loaded. `committer` must be destroyed (or drained) before it.
class Audit final : public plugin::AuditLog {
 public:
  using Clock = std::function<Now()>;

  Audit(storage::Committer& committer, const storage::KvStore& store, Clock clock);

  struct Loaded {
    storage::Status status;
    /// The last record cannot be read or has gone. The chain goes on behind it, and verification
    /// will always find the place.
    bool is_damaged = false;
  };
  /// Finds the end of the chain. Once, before any other call, on a thread that may block.
  Loaded load();

  void submit(storage::Batch batch, plugin::AuditEvent event,
              storage::Committer::Done done) override;
  void note(plugin::AuditEvent event) override;
  void refused(const plugin::Refusal& refusal) noexcept override;

  /// Writes the sums of refusals whose windows have ended; `all`: of every window, at the end.
  /// Call it every few seconds. Never blocks.
  void sum_up(bool all = false);

  /// Drops records older than `before`, at most `records_max` of them and never the last one, and
  /// leaves an anchor, so that what remains can still be verified. Reads the store: on a thread
  /// that may block. `done(dropped)` when that is stored, or 0 at once.
  void prune(WallTime before, std::size_t records_max,
             std::function<void(std::uint64_t dropped)> done);

  /// The last record that is durable. Any thread.
  AuditHead head() const;

  struct Statistics {
    std::uint64_t records = 0;    ///< stored since the start
    std::uint64_t summed_up = 0;  ///< refusals that got no record of their own
    std::uint64_t lost = 0;       ///< refusals whose record could not be stored
  };
  Statistics statistics() const;

 private:
  /// The end of the chain as it is on disk.
  storage::Status read_end(AuditHead& end, bool& is_damaged) const;
  storage::Status link(const plugin::AuditEvent& event, storage::Batch& batch, AuditHead& place);

  storage::Committer& committer_;
  const storage::KvStore& store_;
  Clock clock_;
  RefusalTable refusals_;

  // Of the committer's thread, after load().
  AuditHead next_after_;  ///< the last record that was linked
  std::uint64_t reopens_ = 0;

  mutable std::mutex mutex_;
  AuditHead durable_;  ///< guarded by mutex_
  std::atomic<std::uint64_t> records_{0};
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace skerry::auth
