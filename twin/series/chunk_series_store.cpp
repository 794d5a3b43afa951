// Writing and reading: what cores and the reader pool call. Opening and sealing are in
// series_life.cpp.
#include "twin/series/chunk_series_store.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "twin/device_topic.hpp"
#include "twin/series/aggregate_page.hpp"
#include "twin/series/device_reader.hpp"
#include "twin/series/samples.hpp"

namespace skerry::twin::series {
namespace {

using storage::Batch;
using storage::Family;
using storage::Status;

/// Collects the samples of one page, over all its series.
class PageVisitor final : public SampleVisitor {
 public:
  PageVisitor(const SeriesQuery& query, SeriesPage& page) : query_(query), page_(page) {}

  void begin(const std::string& key, std::optional<SamplePlace> after) {
    key_ = key;
    after_ = after;
    samples_.clear();
  }

  bool sample(const StoredSample& sample) override {
    if (count_ >= query_.limit || bytes_ >= series_page_bytes_max) {
      if (!samples_.empty()) {
        after_ = place_of(samples_.back());
      }
      page_.next = SeriesPosition{key_, after_};
      return false;
    }
    ++count_;
    bytes_ += memory_of(sample);
    samples_.push_back(sample);
    return true;
  }

  void end() {
    if (!samples_.empty()) {
      page_.series.push_back({key_, std::move(samples_)});
    }
  }

 private:
  const SeriesQuery& query_;
  SeriesPage& page_;
  std::string key_;
  std::optional<SamplePlace> after_;
  std::vector<StoredSample> samples_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

/// An exclusive end as an included one.
std::int64_t last_of(const std::optional<std::int64_t>& to) noexcept {
  if (!to) {
    return INT64_MAX;
  }
  return *to == INT64_MIN ? INT64_MIN : *to - 1;
}

bool is_empty(std::int64_t from, const std::optional<std::int64_t>& to) noexcept {
  return to && *to <= from;
}

std::int64_t newest_accepted(WallTime now) noexcept {
  return epoch_milliseconds(now) + clock_ahead_max_milliseconds;
}

}  // namespace

AppendResult ChunkSeriesStore::append(std::string_view device, std::span<const Sample> samples,
                                      Batch& batch) {
  SKERRY_ASSERT(is_device_id(device));
  if (samples.empty()) {
    return AppendResult::stored;
  }
  if (options_.space_low != nullptr && options_.space_low->load(std::memory_order_relaxed)) {
    count(statistics_.refused_no_space);
    return AppendResult::no_space;
  }
  std::vector<Sample> snapped;
  const AppendResult admitted = index_.admit(device, samples, snapped);
  if (admitted != AppendResult::stored) {
    return admitted;
  }
  std::string row;
  append_samples_row(snapped.empty() ? samples : std::span<const Sample>(snapped), row);
  const std::uint64_t sequence = next_sequence_.fetch_add(1, std::memory_order_relaxed);
  batch.put(Family::series_log, log_key(device, sequence), row);
  return AppendResult::stored;
}

void ChunkSeriesStore::erase(const SeriesErase& erase, Batch& batch) {
  SKERRY_ASSERT(is_device_id(erase.device));
  if (is_empty(erase.from, erase.to)) {
    return;
  }
  std::string row;
  append_erasure_row(erase, row);
  const std::uint64_t sequence = next_sequence_.fetch_add(1, std::memory_order_relaxed);
  batch.put(Family::series_log, log_key(erase.device, sequence), row);
  count(statistics_.erasures);
}

void ChunkSeriesStore::erase_device(std::string_view device, Batch& batch) {
  erase({std::string(device), {}, INT64_MIN, {}}, batch);
}

void ChunkSeriesStore::written(const Batch& batch) {
  std::optional<SteadyTime> now;
  batch.for_each([&](Batch::Kind kind, Family family, std::string_view key, std::string_view row) {
    if (family != Family::series_log || kind != Batch::Kind::put) {
      return;
    }
    if (const auto place = parse_log_key(key)) {
      now = now ? now : options_.clock().steady;
      index_.add_row(*place, row, *now);
    }
  });
}

void ChunkSeriesStore::reopened() {
  log_is_distrusted_ = true;
  due_.wake();
}

/// The keys a question goes through, in order, from where it goes on.
std::vector<std::string> ChunkSeriesStore::keys_of(
    std::string_view device, const std::vector<std::string>& named,
    const std::optional<SeriesPosition>& start) const {
  std::vector<std::string> keys = named;
  if (named.empty()) {
    keys = index_.keys(device, "", SIZE_MAX);
  } else {
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  }
  if (start) {
    keys.erase(keys.begin(), std::lower_bound(keys.begin(), keys.end(), start->key));
  }
  return keys;
}

Result<SeriesPage, Status> ChunkSeriesStore::query(const SeriesQuery& query) const {
  SeriesPage page;
  const std::vector<std::string> keys = keys_of(query.device, query.keys, query.start);
  if (is_empty(query.from, query.to) || keys.empty()) {
    return page;
  }
  DeviceReader reader(*options_.store, *retention_, query.device, keys);
  if (!reader.status().ok()) {
    return reader.status();
  }
  PageVisitor visitor(query, page);
  std::size_t visits = 0;
  for (const std::string& key : keys) {
    if (visits++ == series_page_visits_max) {
      page.next = SeriesPosition{key, {}};
      break;
    }
    WalkOptions walk{{query.from, last_of(query.to)}, query.descending, {}};
    if (query.start && query.start->key == key) {
      walk.after = query.start->after;
    }
    visitor.begin(key, walk.after);
    if (Status status = reader.view(key).walk(walk, visitor); !status.ok()) {
      return status;
    }
    visitor.end();
    if (page.next) {
      break;
    }
  }
  return page;
}

Result<AggregatePage, Status> ChunkSeriesStore::aggregate(const AggregateQuery& query) const {
  SKERRY_ASSERT(query.step >= 1 && query.step <= series_step_max && query.limit >= 1);
  AggregatePage page;
  const std::vector<std::string> keys = keys_of(query.device, query.keys, query.start);
  if (is_empty(query.from, query.to) || keys.empty()) {
    return page;
  }
  DeviceReader reader(*options_.store, *retention_, query.device, keys);
  if (!reader.status().ok()) {
    return reader.status();
  }
  std::size_t left = query.limit;
  for (const std::string& key : keys) {
    if (left == 0) {
      page.next = SeriesPosition{key, {}};
      break;
    }
    BucketRequest request{query.step, std::max(query.from, timestamp_min),
                          std::min(query.to.value_or(INT64_MAX), timestamp_max + 1), left,
                          query.descending};
    if (query.start && query.start->key == key && query.start->after) {
      const std::int64_t start = floor_to(query.start->after->timestamp, query.step);
      if (query.descending) {
        request.to = std::min(request.to, start);
      } else {
        request.from =
            std::max(request.from, start > INT64_MAX - query.step ? INT64_MAX : start + query.step);
      }
    }
    auto answer = read_buckets(reader.view(key), request);
    if (answer.has_error()) {
      return answer.error();
    }
    if (answer->buckets.empty()) {
      continue;
    }
    left -= answer->buckets.size();
    const std::int64_t last = answer->buckets.back().start;
    page.series.push_back({key, std::move(answer->buckets)});
    if (answer->more) {
      page.next = SeriesPosition{key, SamplePlace{last, 0}};
      break;
    }
  }
  return page;
}

/// Replaces what memory does not know, and what lies in the future, by what the disk says; leaves
/// those without a sample that is kept.
Status ChunkSeriesStore::fill_newest(std::string_view device, WallTime now,
                                     std::vector<NewestSample>& newest) const {
  const std::int64_t accepted = newest_accepted(now);
  std::unique_ptr<DeviceReader> reader;
  for (NewestSample& each : newest) {
    if (each.sample && each.sample->timestamp <= accepted) {
      if (each.sample->timestamp < retention_->horizons(device, each.key).raw) {
        each.sample.reset();
      }
      continue;
    }
    if (!reader) {
      reader = std::make_unique<DeviceReader>(*options_.store, *retention_, device,
                                              std::span<const std::string>());
    }
    if (!reader->status().ok()) {
      return reader->status();
    }
    auto found = reader->view(each.key).newest(accepted);
    if (found.has_error()) {
      return found.error();
    }
    each.sample = *std::move(found);
  }
  std::erase_if(newest, [](const NewestSample& each) { return !each.sample; });
  return {};
}

Result<LatestPage, Status> ChunkSeriesStore::latest(const LatestQuery& query) const {
  LatestPage page;
  std::string after = query.after_key;
  std::size_t bytes = 0;
  for (;;) {
    std::vector<NewestSample> newest = index_.newest(query.device, after, query.limit + 1, {});
    if (newest.empty()) {
      return page;
    }
    after = newest.back().key;
    const bool is_end = newest.size() <= query.limit;
    if (Status status = fill_newest(query.device, query.now, newest); !status.ok()) {
      return status;
    }
    for (NewestSample& each : newest) {
      if (page.items.size() == query.limit || bytes >= series_page_bytes_max) {
        page.more = true;
        return page;
      }
      bytes += memory_of(*each.sample);
      page.items.push_back({std::move(each.key), *std::move(each.sample)});
    }
    if (is_end) {
      return page;
    }
  }
}

Result<FleetLatestPage, Status> ChunkSeriesStore::latest_of(const FleetLatestQuery& query) const {
  FleetLatestPage page;
  std::vector<std::string> wanted = query.keys;
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  std::size_t bytes = 0;
  for (const std::string& device : query.devices) {
    if (bytes >= series_page_bytes_max) {
      break;
    }
    auto newest = index_.newest(device, "", SIZE_MAX, wanted);
    if (Status status = fill_newest(device, query.now, newest); !status.ok()) {
      return status;
    }
    DeviceLatest& answer = page.devices.emplace_back();
    answer.device = device;
    answer.items.reserve(newest.size());
    for (NewestSample& each : newest) {
      bytes += memory_of(*each.sample) + each.key.size();
      answer.items.push_back({std::move(each.key), *std::move(each.sample)});
    }
  }
  return page;
}

Result<bool, Status> ChunkSeriesStore::has_data(std::string_view device) const {
  const auto page = latest({std::string(device), options_.clock().wall, "", 1});
  if (page.has_error()) {
    return page.error();
  }
  return !page->items.empty();
}

}  // namespace skerry::twin::series
