// SeriesIndex: what memory knows of every series: its newest sample and how much of it waits in the
// log. It learns of samples when they are written, never before, so it needs no undoing; who is
// admitted is counted at once, so that caps hold. One lock per stripe of devices, held for
// microseconds.
//
// It keeps no samples beside the newest: those that wait are rows of the log, found by device.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/keyed_hash.hpp"
#include "base/now.hpp"
#include "twin/series/due_queue.hpp"
#include "twin/series/limits.hpp"
#include "twin/series/log_row.hpp"
#include "twin/series/retention.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin::series {

/// What one seal took out of the log of a device.
struct SealedRows {
  std::uint32_t rows = 0;
  std::size_t bytes = 0;
  std::uint32_t erasures = 0;
  std::vector<std::pair<std::string, std::uint32_t>> samples;  ///< by key, as they stood in rows
};

/// The newest sample as memory has it.
struct NewestSample {
  std::string key;
  std::optional<StoredSample> sample;  ///< nullopt: only the disk knows
  std::uint32_t changes = 0;           ///< for put_newest()
};

class SeriesIndex {
 public:
  /// All must outlive the index.
  struct Parts {
    const SeriesLimits& limits;
    const Retention& retention;
    SeriesStatistics& statistics;
    DueQueue& due;
  };
  SeriesIndex(Parts parts, HashKey hash_key);
  ~SeriesIndex();

  /// May these samples be taken? Reserves a place for series that are new. When the answer is
  /// `stored` and a rule moves timestamps, `snapped` holds the samples as they are to be written
  /// instead; it stays empty otherwise. Any core.
  AppendResult admit(std::string_view device, std::span<const Sample> samples,
                     std::vector<Sample>& snapped);

  /// A row that was written.
  void add_row(const LogKey& place, std::string_view row, SteadyTime now);
  /// A row that may have been written although that was a failure: its series ask the disk from
  /// now on, and the device is queued.
  void distrust_row(const LogKey& place, std::string_view row);
  /// The newest sample that is in a chunk, at start.
  void add_sealed(std::string_view device, const Sample& newest);
  /// A device out of the queue whose seal failed.
  void queue_again(std::string_view device);
  /// Rows that are in chunks now. The device, which was out of the queue, may be queued again.
  void remove_rows(std::string_view device, const SealedRows& rows);

  /// Keys of a device behind `after` that may have samples, in order, at most `limit`.
  std::vector<std::string> keys(std::string_view device, std::string_view after,
                                std::size_t limit) const;
  /// The same with their newest samples. `wanted`, when not empty, is sorted.
  std::vector<NewestSample> newest(std::string_view device, std::string_view after,
                                   std::size_t limit, std::span<const std::string> wanted) const;
  /// Those that only the disk knows.
  std::vector<NewestSample> stale(std::string_view device) const;
  /// What the disk knew of a series when it was at `changes`; nullopt: it has no sample. Ignored
  /// when something came since.
  void put_newest(std::string_view device, const NewestSample& newest);

  /// Queues devices whose oldest row has come before `before`, or all that have rows.
  void queue_older(SteadyTime before);
  /// Forgets series whose newest sample is older than anything that is kept, and those that never
  /// got a sample. Gives their places.
  std::vector<std::pair<std::string, std::string>> remove_expired();

 private:
  struct Series;
  struct Device;
  struct Stripe;
  struct Hash {
    using is_transparent = void;
    HashKey key;
    std::size_t operator()(std::string_view text) const noexcept { return keyed_hash(key, text); }
  };
  static constexpr std::size_t stripe_count = 64;

  Stripe& stripe_of(std::string_view device) const noexcept;
  Device& device_in(Stripe& stripe, std::string_view device);
  Series& series_in(Device& device, std::string_view device_id, std::string_view key,
                    std::uint32_t& before);
  AppendResult admit_series(Device& device, std::string_view id, std::span<const Sample> samples,
                            std::vector<Sample>& snapped);
  void queue_if_due(Device& device, std::string_view id, std::uint32_t samples);
  void forget(Stripe& stripe, std::string_view device);

  Parts parts_;
  HashKey hash_key_;
  std::unique_ptr<std::array<Stripe, stripe_count>> stripes_;
};

}  // namespace skerry::twin::series
