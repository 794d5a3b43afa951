// ChunkSeriesStore: telemetry in compressed chunks with roll-ups.
//
//   append() ──▶ a row in the message's own batch ──commit──▶ series_log ──seal──▶ series_chunks
//                                                 └─observer─▶ index                series_rollups
//
// A sample is acknowledged when its row is in the store's log of writes; from then on readers see
// it. A thread of its own works rows into chunks, a device at a time, and takes the rows away in
// the same batch. An erasure is a row too, and counts for readers from its commit on. See README.md
// of this folder for the layout and for what happens when.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "base/keyed_hash.hpp"
#include "base/now.hpp"
#include "storage/kv_store.hpp"
#include "twin/series/index.hpp"
#include "twin/series/limits.hpp"
#include "twin/series/retention.hpp"
#include "twin/series/rule.hpp"
#include "twin/series/sealer.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin::series {

struct SeriesStoreOptions {
  storage::KvStore* store = nullptr;  ///< must outlive the series store
  /// Writes a batch and waits for its end: Committer::write_and_wait. For the thread that seals.
  std::function<storage::Status(storage::Batch)> write;
  std::function<Now()> clock;
  HashKey hash_key;
  SeriesLimits limits;
  std::vector<SeriesRule> rules;  ///< have passed check()
  /// Disk space has run low: append() takes nothing. Null: it never is. Must outlive the store.
  const std::atomic<bool>* space_low = nullptr;
  std::function<void(std::string_view)> log = [](std::string_view) {};
};

class ChunkSeriesStore final : public SeriesStore, private storage::WriteObserver {
 public:
  explicit ChunkSeriesStore(SeriesStoreOptions options);
  /// Nobody may write to the store meanwhile.
  ~ChunkSeriesStore() override;

  /// Learns what the store holds, and converts telemetry of the older form (a record per sample).
  /// Before anything else, while nobody else writes. Blocks: seconds for 10 million waiting
  /// samples.
  storage::Status open();

  /// Starts the thread that seals; it ends with stop(), which must come before the committer ends.
  void start();
  void stop();

  /// Seals everything that waits, in place of the thread; for tests, measurements and open().
  storage::Status seal_all();
  /// Seals the devices that are due; false: none was, or the store failed.
  bool seal_due();
  /// Forgets series that have outlived their time; the thread does it every hour.
  void remove_expired();

  const SeriesStatistics& statistics() const noexcept { return statistics_; }

  AppendResult append(std::string_view device, std::span<const Sample> samples,
                      storage::Batch& batch) override;
  void erase(const SeriesErase& erase, storage::Batch& batch) override;
  void erase_device(std::string_view device, storage::Batch& batch) override;
  Result<SeriesPage, storage::Status> query(const SeriesQuery& query) const override;
  Result<AggregatePage, storage::Status> aggregate(const AggregateQuery& query) const override;
  Result<LatestPage, storage::Status> latest(const LatestQuery& query) const override;
  Result<FleetLatestPage, storage::Status> latest_of(const FleetLatestQuery& query) const override;
  Result<bool, storage::Status> has_data(std::string_view device) const override;

 private:
  void written(const storage::Batch& batch) override;
  void reopened() override;

  storage::Status load();
  storage::Status convert_plain();
  void run();
  void distrust_log();
  void finish_seal(const std::string& device, const Sealer::Seal& seal);
  void compact_erased();
  std::vector<std::string> keys_of(std::string_view device, const std::vector<std::string>& named,
                                   const std::optional<SeriesPosition>& start) const;
  storage::Status fill_newest(std::string_view device, WallTime now,
                              std::vector<NewestSample>& newest) const;

  SeriesStoreOptions options_;
  std::shared_ptr<const Retention> retention_;
  SeriesStatistics statistics_;
  DueQueue due_;
  SeriesIndex index_;
  Sealer sealer_;
  std::atomic<std::uint64_t> next_sequence_{1};
  std::atomic<bool> log_is_distrusted_{false};
  std::vector<std::string> erased_;  ///< devices whose space is to be given back; the thread's own
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace skerry::twin::series
