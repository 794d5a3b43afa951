#include "twin/fleet_answer.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "twin/value_text.hpp"

namespace skerry::twin {
namespace {

using storage::Status;
using storage::StatusCode;

/// Devices asked for at once, and read in one step when they have nothing to say.
constexpr std::size_t device_page = 200;
constexpr std::size_t devices_per_step = 50;
/// Devices whose newest samples are read in one step.
constexpr std::size_t latest_page = 500;

void merge(Aggregate& into, const Aggregate& more) noexcept {
  if (more.numbers > 0) {
    into.minimum = into.numbers == 0 ? more.minimum : std::min(into.minimum, more.minimum);
    into.maximum = into.numbers == 0 ? more.maximum : std::max(into.maximum, more.maximum);
    into.sum += more.sum;
  }
  into.count += more.count;
  into.numbers += more.numbers;
}

}  // namespace

DeviceWalk::DeviceWalk(SelectDevices select, DeviceSelection selection, std::string after)
    : select_(std::move(select)), selection_(std::move(selection)), after_(std::move(after)) {
  std::vector<std::string>& devices = selection_.devices;
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
}

std::vector<SelectedDevice> DeviceWalk::next(std::size_t limit) {
  std::vector<SelectedDevice> page;
  if (ended_) {
    return page;
  }
  if (!selection_.devices.empty() && selection_.group_by.empty()) {
    auto at = std::upper_bound(selection_.devices.begin(), selection_.devices.end(), after_);
    for (; at != selection_.devices.end() && page.size() < limit; ++at) {
      page.push_back({*at, {}});
    }
  } else {
    auto found = select_(selection_, after_, limit);
    if (found.has_error()) {
      ended_ = true;
      return page;
    }
    page = *std::move(found);
  }
  ended_ = page.size() < limit;
  if (!page.empty()) {
    after_ = page.back().id;
  }
  return page;
}

FleetAnswer::FleetAnswer(AnswerSources sources, DeviceWalk walk, TelemetryQuery query,
                         RowShape shape)
    : walk_(std::move(walk)),
      query_(std::move(query)),
      text_(std::move(shape)),
      rows_(sources, query_, text_) {
  SKERRY_ASSERT(!query_.limit && !query_.start);
}

Result<AnswerState, Status> FleetAnswer::step(std::string& out) {
  if (!begun_) {
    text_.begin(out);
    begun_ = true;
  }
  for (std::size_t devices = 0; devices < devices_per_step;) {
    if (in_device_) {
      const auto state = rows_.step(out);
      if (state.has_error()) {
        return state;
      }
      if (*state == AnswerState::more) {
        return AnswerState::more;
      }
      in_device_ = false;
      ++devices;
      continue;
    }
    if (index_ == page_.size()) {
      page_ = walk_.next(device_page);
      index_ = 0;
      if (page_.empty()) {
        text_.end(out, {});
        return AnswerState::done;
      }
    }
    const std::string& id = page_[index_++].id;
    rows_.start(id, id);
    in_device_ = true;
  }
  return AnswerState::more;
}

GroupAnswer::GroupAnswer(AnswerSources sources, DeviceWalk walk, TelemetryQuery query,
                         RowShape shape)
    : sources_(sources),
      walk_(std::move(walk)),
      query_(std::move(query)),
      text_(std::move(shape)),
      fill_(query_, text_) {
  SKERRY_ASSERT(query_.step && !query_.limit && !query_.start);
}

Result<AnswerState, Status> GroupAnswer::step(std::string& out) {
  for (std::size_t pages = 0; !gathered_ && pages < devices_per_step; ++pages) {
    if (const auto state = gather(); state.has_error()) {
      return state;
    }
    if (gathered_) {
      text_.begin(out);
    }
  }
  return gathered_ ? write(out) : AnswerState::more;
}

/// One page of one device.
Result<AnswerState, Status> GroupAnswer::gather() {
  if (index_ == page_.size()) {
    page_ = walk_.next(device_page);
    index_ = 0;
    gathered_ = page_.empty();
    return AnswerState::more;
  }
  const SelectedDevice& device = page_[index_];
  if (device.groups.empty()) {
    ++index_;
    return AnswerState::more;
  }
  AggregateQuery wanted;
  wanted.device = device.id;
  wanted.keys = query_.keys;
  wanted.from = query_.from;
  wanted.to = query_.to;
  wanted.step = *query_.step;
  wanted.limit = series_page_samples_max;
  wanted.start = place_;
  const auto page = sources_.store.aggregate(wanted);
  if (page.has_error()) {
    return page.error();
  }
  for (const AggregateSeries& series : page->series) {
    for (const AggregateBucket& bucket : series.buckets) {
      for (const std::string& group : device.groups) {
        const std::int64_t order = query_.descending ? -bucket.start : bucket.start;
        merge(cells_[Cell{group, series.key, order}], bucket.values);
      }
    }
    if (cells_.size() > group_cells_max) {
      return Status{StatusCode::full, "there are more groups and buckets than fit into an answer"};
    }
  }
  place_ = page->next;
  index_ += place_ ? 0 : 1;
  return AnswerState::more;
}

AnswerState GroupAnswer::write(std::string& out) {
  for (;;) {
    if (!fill_.pump(out, answer_chunk_bytes) || out.size() >= answer_chunk_bytes) {
      return AnswerState::more;
    }
    const bool at_end = cells_.empty();
    if (open_ && (at_end || open_->first != std::get<0>(cells_.begin()->first) ||
                  open_->second != std::get<1>(cells_.begin()->first))) {
      fill_.finish();
      open_.reset();
      continue;
    }
    if (at_end) {
      text_.end(out, {});
      return AnswerState::done;
    }
    const auto cell = cells_.extract(cells_.begin());
    const auto& [group, key, order] = cell.key();
    if (!open_) {
      text_.series(out, group, key);
      fill_.start();
      open_ = std::pair(group, key);
    }
    fill_.offer(query_.descending ? -order : order, values_of(cell.mapped()));
    any_ = true;
  }
}

/// A page is held in memory as a whole: so many devices may be too much of it.
void FleetLatestAnswer::end_page_early() {
  if (!devices_.empty()) {
    next_ = SeriesPosition{last_, {}};
  }
  devices_.clear();
  left_ = 0;
}

FleetLatestAnswer::FleetLatestAnswer(const SeriesStore& store, DeviceWalk walk,
                                     std::vector<std::string> keys,
                                     std::optional<std::size_t> limit, RowShape shape)
    : store_(store),
      walk_(std::move(walk)),
      keys_(std::move(keys)),
      left_(limit),
      text_(std::move(shape)) {}

Result<AnswerState, Status> FleetLatestAnswer::step(std::string& out) {
  if (!begun_) {
    text_.begin(out);
    begun_ = true;
  }
  bool ended = false;
  if (devices_.empty()) {
    const std::size_t wanted = std::min(left_.value_or(latest_page), latest_page);
    if (wanted > 0) {
      for (SelectedDevice& device : walk_.next(wanted)) {
        devices_.push_back(std::move(device.id));
      }
    } else if (!next_ && !walk_.next(1).empty()) {
      next_ = SeriesPosition{last_, {}};
    }
    if (left_) {
      *left_ -= devices_.size();
    }
    ended = devices_.empty();
  }
  if (!ended) {
    const auto page = store_.latest_of({devices_, keys_, wall_from_epoch(text_.shape().now)});
    if (page.has_error()) {
      return page.error();
    }
    SKERRY_ASSERT(!page->devices.empty());
    const std::size_t size_before = out.size();
    for (const DeviceLatest& device : page->devices) {
      for (const LatestItem& item : device.items) {
        text_.series(out, device.device, item.key);
        text_.sample(out, item.sample.timestamp, view_of(item.sample.value), item.sample.flags);
        any_ = true;
      }
    }
    const auto answered =
        static_cast<std::ptrdiff_t>(std::min(page->devices.size(), devices_.size()));
    last_ = devices_[static_cast<std::size_t>(answered) - 1];
    devices_.erase(devices_.begin(), devices_.begin() + answered);
    page_bytes_ += out.size() - size_before;
    if (left_ && page_bytes_ >= series_page_bytes_max) {
      end_page_early();
    }
    return AnswerState::more;
  }
  text_.end(out, next_ ? std::optional(encode_cursor(*next_)) : std::nullopt);
  return AnswerState::done;
}

}  // namespace skerry::twin
