#include "twin/series/series_view.hpp"

#include <algorithm>

#include "twin/series/keys.hpp"
#include "twin/series/samples.hpp"

namespace skerry::twin::series {

using storage::Status;
using storage::StatusCode;

Status damaged_status() {
  return {StatusCode::corruption, "a telemetry record cannot be read"};
}

Status closed_status() {
  return {StatusCode::closed, "the store is being reopened"};
}

/// One walk: chunk after chunk, with the waiting samples merged in.
class SeriesView::Walk {
 public:
  Walk(const SeriesView& view, const WalkOptions& options, SampleVisitor& visitor)
      : view_(view), options_(options), visitor_(visitor), waiting_(view.waiting_) {
    options_.range.from = std::max(options_.range.from, view.horizons_.raw);
  }

  Status run();

 private:
  bool visit_chunk(storage::Iterator& chunks);
  bool visit_whole(const ChunkHeader& header, bool& visited);
  bool visit_samples();
  bool emit(const StoredSample& sample) {
    stopped_ = is_wanted(sample) && !visitor_.sample(sample);
    return !stopped_;
  }
  bool emit_waiting_before(const StoredSample& sample);
  void skip_waiting();
  void seek_start(storage::Iterator& chunks) const;
  bool is_wanted(const StoredSample& sample) const;
  bool is_erased(std::int64_t time) const noexcept;

  /// In the order of the walk.
  bool precedes(const StoredSample& left, const StoredSample& right) const {
    return options_.descending ? is_before(right, left) : is_before(left, right);
  }
  bool has_waiting() const noexcept { return !waiting_.empty(); }
  const StoredSample& next_waiting() const noexcept {
    return options_.descending ? waiting_.back() : waiting_.front();
  }
  void drop_waiting() noexcept {
    waiting_ = options_.descending ? waiting_.first(waiting_.size() - 1) : waiting_.subspan(1);
  }

  const SeriesView& view_;
  WalkOptions options_;
  SampleVisitor& visitor_;
  std::span<const StoredSample> waiting_;
  std::vector<StoredSample> samples_;
  bool stopped_ = false;  ///< by the visitor
  Status status_;
};

bool SeriesView::Walk::is_erased(std::int64_t time) const noexcept {
  return std::any_of(view_.erasures_.begin(), view_.erasures_.end(),
                     [time](const Erasure& each) { return each.covers(each.key, time); });
}

bool SeriesView::Walk::is_wanted(const StoredSample& sample) const {
  if (!options_.range.holds(sample.timestamp)) {
    return false;
  }
  if (!options_.after || sample.timestamp != options_.after->timestamp) {
    return !options_.after || (options_.descending ? sample.timestamp < options_.after->timestamp
                                                   : sample.timestamp > options_.after->timestamp);
  }
  const std::uint64_t tie = tie_of(sample.value);
  return options_.descending ? tie < options_.after->tie : tie > options_.after->tie;
}

/// Puts the iterator on the first chunk, in the direction of the walk, that may hold a sample of
/// the range.
void SeriesView::Walk::seek_start(storage::Iterator& chunks) const {
  SamplePlace place{options_.range.from, 0};
  if (options_.descending) {
    place = {options_.range.to, UINT64_MAX};
    if (options_.after && *options_.after < place) {
      place = *options_.after;
    }
    chunks.seek_before(chunk_key(view_.prefix_, place));
    return;
  }
  if (options_.after && place < *options_.after) {
    place = *options_.after;
  }
  chunks.seek_before(chunk_key(view_.prefix_, place));
  if (!chunks.valid()) {
    chunks.seek_first();
  }
}

/// Waiting samples outside of the range would only be passed over one by one.
void SeriesView::Walk::skip_waiting() {
  const auto by_time = [](const StoredSample& sample, std::int64_t time) {
    return sample.timestamp < time;
  };
  const auto begin =
      std::lower_bound(waiting_.begin(), waiting_.end(), options_.range.from, by_time);
  const auto end = options_.range.to == INT64_MAX
                       ? waiting_.end()
                       : std::lower_bound(begin, waiting_.end(), options_.range.to + 1, by_time);
  waiting_ = {begin, end};
}

Status SeriesView::Walk::run() {
  if (options_.range.to < options_.range.from) {
    return {};
  }
  const auto chunks = view_.chunks();
  if (!chunks) {
    return closed_status();
  }
  skip_waiting();
  bool goes_on = true;
  for (seek_start(*chunks); chunks->valid() && goes_on;
       options_.descending ? chunks->previous() : chunks->next()) {
    goes_on = visit_chunk(*chunks);
  }
  if (Status status = chunks->status(); !status.ok()) {
    return status;
  }
  while (status_.ok() && !stopped_ && has_waiting()) {
    emit(next_waiting());
    drop_waiting();
  }
  return status_;
}

/// False: the walk ends, or only waiting samples are left.
bool SeriesView::Walk::visit_chunk(storage::Iterator& chunks) {
  ChunkHeader header;
  if (!read_chunk_header(chunks.value(), header)) {
    status_ = damaged_status();
    return false;
  }
  const TimeRange& range = options_.range;
  if (options_.descending ? header.last < range.from : header.first > range.to) {
    return false;
  }
  if (!range.meets(header.first, header.last)) {
    return true;
  }
  bool visited = false;
  if (!options_.descending && !visit_whole(header, visited)) {
    return false;
  }
  if (visited) {
    return true;
  }
  if (!decode_chunk(chunks.value(), view_.sources_.workspace, samples_)) {
    status_ = damaged_status();
    return false;
  }
  return visit_samples();
}

bool SeriesView::Walk::visit_whole(const ChunkHeader& header, bool& visited) {
  const bool inside = header.first >= options_.range.from && header.last <= options_.range.to &&
                      (!options_.after || header.first > options_.after->timestamp);
  const auto cuts = [&header](const Erasure& each) {
    return header.last >= each.from && (!each.to || header.first < *each.to);
  };
  if (!inside || !visitor_.wants_whole(header) ||
      std::any_of(view_.erasures_.begin(), view_.erasures_.end(), cuts)) {
    return true;
  }
  while (has_waiting() && next_waiting().timestamp < header.first) {
    if (!emit(next_waiting())) {
      return false;
    }
    drop_waiting();
  }
  if (has_waiting() && next_waiting().timestamp <= header.last) {
    return true;
  }
  visited = true;
  stopped_ = !visitor_.whole(header);
  return !stopped_;
}

bool SeriesView::Walk::emit_waiting_before(const StoredSample& sample) {
  while (has_waiting() && precedes(next_waiting(), sample)) {
    if (!emit(next_waiting())) {
      return false;
    }
    drop_waiting();
  }
  return true;
}

bool SeriesView::Walk::visit_samples() {
  const std::size_t count = samples_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const StoredSample& sample = samples_[options_.descending ? count - 1 - i : i];
    if (!options_.range.holds(sample.timestamp) || is_erased(sample.timestamp)) {
      continue;
    }
    if (!emit_waiting_before(sample)) {
      return false;
    }
    if (has_waiting() && next_waiting().timestamp == sample.timestamp &&
        same_value(next_waiting().value, sample.value)) {
      drop_waiting();  // It came twice; the first has been worked in.
    }
    if (!emit(sample)) {
      return false;
    }
  }
  return true;
}

SeriesView::SeriesView(Sources sources, std::string_view device, std::string_view key,
                       Horizons horizons)
    : sources_(sources),
      prefix_(series_prefix(device, key)),
      end_(series_end(device, key)),
      horizons_(horizons),
      waiting_(sources.pending.samples_of(key)),
      erasures_(sources.pending.erasures_of(key)) {}

std::unique_ptr<storage::Iterator> SeriesView::chunks() const {
  return sources_.store.scan(storage::Family::series_chunks, {prefix_, end_}, &sources_.snapshot);
}

Status SeriesView::walk(const WalkOptions& options, SampleVisitor& visitor) const {
  return Walk(*this, options, visitor).run();
}

Result<std::optional<StoredSample>, Status> SeriesView::newest(std::int64_t horizon) const {
  class First final : public SampleVisitor {
   public:
    bool sample(const StoredSample& sample) override {
      found = sample;
      return false;
    }
    std::optional<StoredSample> found;
  };
  First first;
  for (const std::int64_t to : {horizon, std::int64_t{INT64_MAX}}) {
    if (Status status = walk({{INT64_MIN, to}, true, {}}, first); !status.ok()) {
      return status;
    }
    if (first.found) {
      break;
    }
  }
  return std::move(first.found);
}

}  // namespace skerry::twin::series
