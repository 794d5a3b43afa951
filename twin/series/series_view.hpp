// SeriesView: one series at one moment: its chunks and roll-ups as a snapshot shows them, what
// waits in the log, and what is too old to be seen. Blocks; for one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/kv_store.hpp"
#include "twin/series/chunk.hpp"
#include "twin/series/pending.hpp"
#include "twin/series/retention.hpp"

namespace skerry::twin::series {

/// Both ends included; empty when to < from.
struct TimeRange {
  std::int64_t from = INT64_MIN;
  std::int64_t to = INT64_MAX;

  bool holds(std::int64_t time) const noexcept { return time >= from && time <= to; }
  bool meets(std::int64_t first, std::int64_t last) const noexcept {
    return first <= to && last >= from;
  }
};

/// Gets samples in order. `false` from any of them ends the walk.
class SampleVisitor {
 public:
  virtual ~SampleVisitor() = default;
  virtual bool sample(const StoredSample& sample) = 0;
  /// Asked about chunks that lie in the range with nothing else between their samples, when the
  /// walk ascends: true, when whole() is to get the header in place of sample() the samples.
  virtual bool wants_whole(const ChunkHeader&) { return false; }
  virtual bool whole(const ChunkHeader&) { return true; }
};

struct WalkOptions {
  TimeRange range;
  bool descending = false;
  std::optional<SamplePlace> after;  ///< in the direction of the walk
};

class SeriesView {
 public:
  /// Everything must outlive the view.
  struct Sources {
    const storage::KvStore& store;
    const storage::Snapshot& snapshot;
    const Pending& pending;
    Workspace& workspace;
  };
  SeriesView(Sources sources, std::string_view device, std::string_view key, Horizons horizons);

  /// Samples that are not too old, each once. O(chunks touched + samples that wait).
  storage::Status walk(const WalkOptions& options, SampleVisitor& visitor) const;

  /// The newest that is not behind `horizon`, or else the newest of all; nullopt: there is none.
  Result<std::optional<StoredSample>, storage::Status> newest(std::int64_t horizon) const;

  std::string_view prefix() const noexcept { return prefix_; }
  const Sources& sources() const noexcept { return sources_; }
  const Horizons& horizons() const noexcept { return horizons_; }
  std::span<const StoredSample> waiting() const noexcept { return waiting_; }
  std::span<const Erasure> erasures() const noexcept { return erasures_; }
  std::unique_ptr<storage::Iterator> chunks() const;

 private:
  class Walk;

  Sources sources_;
  std::string prefix_;
  std::string end_;
  Horizons horizons_;
  std::span<const StoredSample> waiting_;
  std::vector<Erasure> erasures_;
};

/// What a reader answers when a record cannot be read, and when the store is closed.
storage::Status damaged_status();
storage::Status closed_status();

}  // namespace skerry::twin::series
