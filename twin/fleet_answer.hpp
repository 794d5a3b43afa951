// Answers about many devices: device by device, by groups of them, and the newest samples of each.
// Which devices are meant comes from outside (the filter and the registry are not the twin's).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "twin/answer.hpp"

namespace skerry::twin {

/// Which devices are meant.
struct DeviceSelection {
  std::string filter;                ///< the filter grammar; empty: all
  std::vector<std::string> devices;  ///< these alone and no filter; empty: by the filter
  std::string group_by;              ///< a field of devices; empty: groups are not asked for
};

struct SelectedDevice {
  std::string id;
  std::vector<std::string> groups;  ///< values of the field; of none, the device is in no group
};

/// Why a selection is refused, with the place in the filter's text.
struct SelectionError {
  std::size_t offset = 0;
  std::string what;  ///< a sentence without a full stop
};

/// Devices that are meant, by id, behind `after`, at most `limit`; fewer only at the end. Any
/// thread; may compute for some milliseconds.
using SelectDevices = std::function<Result<std::vector<SelectedDevice>, SelectionError>(
    const DeviceSelection& selection, std::string_view after, std::size_t limit)>;

/// Goes through the devices of a selection page by page. A list of devices is believed, registered
/// or not, unless groups are asked for.
class DeviceWalk {
 public:
  DeviceWalk(SelectDevices select, DeviceSelection selection, std::string after = {});

  /// The next page, at most `limit`; empty at the end. A filter that no longer parses ends the
  /// walk.
  std::vector<SelectedDevice> next(std::size_t limit);

 private:
  SelectDevices select_;
  DeviceSelection selection_;
  std::string after_;
  bool ended_ = false;
};

/// A query's rows device by device.
class FleetAnswer final : public Answer {
 public:
  FleetAnswer(AnswerSources sources, DeviceWalk walk, TelemetryQuery query, RowShape shape);
  Result<AnswerState, storage::Status> step(std::string& out) override;
  bool any() const override { return rows_.any(); }

 private:
  DeviceWalk walk_;
  const TelemetryQuery query_;
  RowText text_;
  DeviceRows rows_;
  std::vector<SelectedDevice> page_;
  std::size_t index_ = 0;
  bool begun_ = false;
  bool in_device_ = false;
};

/// Buckets of all devices of a group made into one. Needs step and holds every cell (group, key,
/// bucket) until the last device has been read, so their number is capped. First and last have no
/// meaning over devices and must not be asked for.
class GroupAnswer final : public Answer {
 public:
  GroupAnswer(AnswerSources sources, DeviceWalk walk, TelemetryQuery query, RowShape shape);
  /// More than group_cells_max cells end as `full`.
  Result<AnswerState, storage::Status> step(std::string& out) override;
  bool any() const override { return any_; }

 private:
  /// Group, key, and the bucket's start, negated when descending.
  using Cell = std::tuple<std::string, std::string, std::int64_t>;

  Result<AnswerState, storage::Status> gather();
  AnswerState write(std::string& out);

  AnswerSources sources_;
  DeviceWalk walk_;
  const TelemetryQuery query_;
  RowText text_;
  BucketFill fill_;
  std::vector<SelectedDevice> page_;
  std::size_t index_ = 0;
  std::optional<SeriesPosition> place_;  ///< in the device at hand
  std::map<Cell, Aggregate> cells_;
  bool gathered_ = false;
  bool any_ = false;
  std::optional<std::pair<std::string, std::string>> open_;  ///< group and key being written
};

/// The newest samples of each device, from memory.
class FleetLatestAnswer final : public Answer {
 public:
  /// `limit`: devices of a page, which may end earlier by its bytes; nullopt: all, streamed.
  FleetLatestAnswer(const SeriesStore& store, DeviceWalk walk, std::vector<std::string> keys,
                    std::optional<std::size_t> limit, RowShape shape);
  Result<AnswerState, storage::Status> step(std::string& out) override;
  std::optional<SeriesPosition> next() const override { return next_; }
  bool any() const override { return any_; }

 private:
  void end_page_early();

  const SeriesStore& store_;
  DeviceWalk walk_;
  const std::vector<std::string> keys_;
  std::optional<std::size_t> left_;  ///< devices that the page may still have
  RowText text_;
  std::vector<std::string> devices_;  ///< to be asked for
  std::string last_;                  ///< device answered last
  std::size_t page_bytes_ = 0;        ///< written so far
  std::optional<SeriesPosition> next_;
  bool begun_ = false;
  bool any_ = false;
};

}  // namespace skerry::twin
