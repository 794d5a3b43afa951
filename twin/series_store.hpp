// SeriesStore: where telemetry is kept and how it is read back. The one seam between the twin and
// the form on disk: who appends or queries does not know whether samples are single records or
// compressed chunks.
//
// Threads: append() and erase_device() on any core, also on several at once; the reading calls
// block and belong on the reader pool.
#pragma once

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

class SeriesStore {
 public:
  virtual ~SeriesStore() = default;

  /// Adds the writes that store `samples` to `batch` and nothing else: reads nothing, blocks never.
  /// Different values at one timestamp are all kept, identical ones collapse, so a message that
  /// comes twice is stored once. `device` must be a device id.
  virtual void append(std::string_view device, std::span<const Sample> samples,
                      storage::Batch& batch) = 0;

  /// Adds the removal of everything kept of `device` to `batch`.
  virtual void erase_device(std::string_view device, storage::Batch& batch) = 0;

  /// Samples of [from, to) series by series. O(samples of the page + series visited).
  virtual Result<SeriesPage, storage::Status> query(const SeriesQuery& query) const = 0;

  /// The newest sample of each series. Samples from beyond `now` plus the accepted clock error
  /// count only when a series has no other, so a device with a wild clock does not hide its later
  /// values.
  virtual Result<LatestPage, storage::Status> latest(const LatestQuery& query) const = 0;

  /// Is there any sample of `device`?
  virtual Result<bool, storage::Status> has_data(std::string_view device) const = 0;
};

}  // namespace skerry::twin
