// SeriesStore: where telemetry is kept and how it is read back. The one seam between the twin and
// the form on disk: who appends or queries does not know whether samples are single records or
// compressed chunks.
//
// Threads: append(), erase() and erase_device() on any core, also on several at once; latest() and
// latest_of() read memory as a rule and disk at times, all other reads block: reader pool.
//
// Many samples in little memory: every answer is a page with a cursor; asking again with it goes
// on behind the last item. Pages of one walk are no snapshot: what is stored meanwhile may show.
#pragma once

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/now.hpp"
#include "base/result.hpp"
#include "storage/batch.hpp"
#include "storage/status.hpp"
#include "twin/sample.hpp"

namespace skerry::twin {

/// A place inside one series, behind a sample that was handed out. `tie` orders the different
/// values of one timestamp; its meaning is the store's own.
struct SamplePlace {
  std::int64_t timestamp = 0;
  std::uint64_t tie = 0;
  friend constexpr auto operator<=>(const SamplePlace&, const SamplePlace&) = default;
};

/// Where the next page begins: in series `key`, behind `after`, or at its start without.
struct SeriesPosition {
  std::string key;
  std::optional<SamplePlace> after;
};

struct SeriesQuery {
  std::string device;
  std::vector<std::string> keys;        ///< empty: all; at most series_query_keys_max
  std::int64_t from = INT64_MIN;        ///< included, epoch milliseconds
  std::optional<std::int64_t> to;       ///< excluded; nullopt: no end
  std::size_t limit = 1000;             ///< samples in a page, 1 … series_page_samples_max
  bool descending = false;              ///< newest first, within each series
  std::optional<SeriesPosition> start;  ///< from SeriesPage::next
};

struct Series {
  std::string key;
  std::vector<StoredSample> samples;  ///< never empty
};

struct SeriesPage {
  std::vector<Series> series;          ///< sorted by key
  std::optional<SeriesPosition> next;  ///< there may be more from here
};

struct LatestQuery {
  std::string device;
  WallTime now{};
  std::string after_key;     ///< keys behind this one; empty: from the first
  std::size_t limit = 1000;  ///< keys in a page, 1 … series_page_samples_max
};

struct LatestItem {
  std::string key;
  StoredSample sample;
};

struct LatestPage {
  std::vector<LatestItem> items;  ///< sorted by key
  bool more = false;              ///< ask again behind the last key
};

/// The newest samples of several devices, from memory: a device costs microseconds.
struct FleetLatestQuery {
  std::vector<std::string> devices;  ///< answered in this order; at most fleet_latest_devices_max
  std::vector<std::string> keys;     ///< empty: all; at most series_query_keys_max
  WallTime now{};
};

struct DeviceLatest {
  std::string device;
  std::vector<LatestItem> items;  ///< sorted by key; empty: nothing is known of the device
};

struct FleetLatestPage {
  std::vector<DeviceLatest> devices;  ///< the first of those asked for; fewer when bytes ran out
};

/// Samples of one bucket made into numbers. Integers and booleans (0, 1) count as numbers; texts
/// count in `count` alone. With `numbers` 0 the other fields mean nothing.
struct Aggregate {
  std::uint64_t count = 0;    ///< samples of any type
  std::uint64_t numbers = 0;  ///< those that are in the fields below
  double minimum = 0;
  double maximum = 0;
  double sum = 0;    ///< decimal fractions are summed as such: 0.1 + 0.2 is 0.3
  double first = 0;  ///< of the earliest number
  double last = 0;   ///< of the latest
  double average() const noexcept { return numbers == 0 ? 0 : sum / static_cast<double>(numbers); }
};

struct AggregateBucket {
  std::int64_t start = 0;  ///< covers [start, start + step), cut by the query's from and to
  Aggregate values;        ///< never of no samples
};

/// Buckets begin at multiples of `step` since 1970; those without a sample are left out. Steps of
/// whole minutes, hours and days are read from roll-ups and give what the samples themselves would.
struct AggregateQuery {
  std::string device;
  std::vector<std::string> keys;        ///< empty: all; at most series_query_keys_max
  std::int64_t from = INT64_MIN;        ///< included, epoch milliseconds
  std::optional<std::int64_t> to;       ///< excluded; nullopt: no end
  std::int64_t step = 60'000;           ///< milliseconds, 1 … series_step_max
  std::size_t limit = 1000;             ///< buckets in a page, 1 … series_page_samples_max
  bool descending = false;              ///< newest first, within each series
  std::optional<SeriesPosition> start;  ///< from AggregatePage::next; `after` is a bucket's start
};

struct AggregateSeries {
  std::string key;
  std::vector<AggregateBucket> buckets;  ///< never empty
};

struct AggregatePage {
  std::vector<AggregateSeries> series;  ///< sorted by key
  std::optional<SeriesPosition> next;   ///< there may be more from here
};

/// What goes: samples of [from, to) of one series, or of all series of the device.
struct SeriesErase {
  std::string device;
  std::optional<std::string> key;  ///< nullopt: all
  std::int64_t from = INT64_MIN;
  std::optional<std::int64_t> to;
};

enum class AppendResult : std::uint8_t {
  stored,
  device_full,  ///< a new series, and the device has as many as it may
  store_full,   ///< a new series, and there are as many as there may be
  overloaded,   ///< more samples wait for their chunks than may: try again later
  no_space,     ///< the disk is nearly full: try again later
};

class SeriesStore {
 public:
  virtual ~SeriesStore() = default;

  /// Adds the writes that store `samples` to `batch`: reads no disk, never waits long. They show
  /// when the batch is written, all or none. Different values at one timestamp are all kept,
  /// identical ones collapse, so a message that comes twice is stored once. `device` must be a
  /// device id. When the answer is not `stored`, nothing was added.
  [[nodiscard]] virtual AppendResult append(std::string_view device,
                                            std::span<const Sample> samples,
                                            storage::Batch& batch) = 0;

  /// Adds the removal of what `erase` names to `batch`: gone for readers when the batch is written,
  /// from the disk soon after. Samples appended later stay, whatever their time. O(1).
  virtual void erase(const SeriesErase& erase, storage::Batch& batch) = 0;

  /// The same for everything kept of `device`.
  virtual void erase_device(std::string_view device, storage::Batch& batch) = 0;

  /// Samples of [from, to) series by series. O(samples of the page + series visited).
  virtual Result<SeriesPage, storage::Status> query(const SeriesQuery& query) const = 0;

  /// Buckets of [from, to) series by series. O(buckets + samples at ragged ends), or O(samples)
  /// when the step is below a minute or no whole number of them.
  virtual Result<AggregatePage, storage::Status> aggregate(const AggregateQuery& query) const = 0;

  /// The newest sample of each series. Samples from beyond `now` plus the accepted clock error
  /// count only when a series has no other, so a device with a wild clock does not hide its later
  /// values.
  virtual Result<LatestPage, storage::Status> latest(const LatestQuery& query) const = 0;

  /// The same for many devices at once. Ask again for those behind the last one answered.
  virtual Result<FleetLatestPage, storage::Status> latest_of(
      const FleetLatestQuery& query) const = 0;

  /// Is there any sample of `device`?
  virtual Result<bool, storage::Status> has_data(std::string_view device) const = 0;
};

}  // namespace skerry::twin
