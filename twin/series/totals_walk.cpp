#include "twin/series/totals_walk.hpp"

#include <algorithm>
#include <array>

#include "twin/series/keys.hpp"
#include "twin/series/rollup.hpp"

namespace skerry::twin::series {
namespace {

using storage::Status;

/// [from, to)
struct Span {
  std::int64_t from;
  std::int64_t to;
};

constexpr std::array levels = {Level::minute, Level::hour, Level::day};

/// The levels whose buckets never lie in two steps: the first so many of `levels`.
std::size_t levels_for(std::int64_t step) noexcept {
  std::size_t count = 0;
  while (count < levels.size() && step % bucket_length(levels[count]) == 0) {
    ++count;
  }
  return count;
}

std::int64_t ceiling_to(std::int64_t time, std::int64_t length) noexcept {
  const std::int64_t floor = floor_to(time, length);
  return floor == time ? time : floor + length;
}

/// Samples as parts, a chunk at a time where a step holds the whole of it.
class Parts final : public SampleVisitor {
 public:
  Parts(std::int64_t step, TotalsVisitor& visitor) : step_(step), visitor_(visitor) {}

  bool sample(const StoredSample& sample) override {
    if (totals_.count > 0 && floor_to(time_, step_) != floor_to(sample.timestamp, step_) &&
        !flush()) {
      return false;
    }
    time_ = totals_.count == 0 ? sample.timestamp : time_;
    totals_.add(sample.value);
    return true;
  }
  bool wants_whole(const ChunkHeader& header) override {
    return floor_to(header.first, step_) == floor_to(header.last, step_);
  }
  bool whole(const ChunkHeader& header) override {
    return flush() && visitor_.part(header.first, header.totals);
  }
  /// False: the visitor has ended the walk, now or before.
  bool flush() {
    if (totals_.count > 0) {
      goes_on_ = goes_on_ && visitor_.part(time_, totals_);
      totals_ = {};
    }
    return goes_on_;
  }

 private:
  std::int64_t step_;
  TotalsVisitor& visitor_;
  std::int64_t time_ = 0;
  Totals totals_;
  bool goes_on_ = true;
};

class TotalsWalk {
 public:
  TotalsWalk(const SeriesView& view, std::int64_t step, TotalsVisitor& visitor)
      : view_(view), step_(step), visitor_(visitor) {}

  Status run(std::int64_t from, std::int64_t to) {
    walk(levels_for(step_), from, to);
    return status_;
  }

 private:
  /// `depth`: how many of `levels` may be used. False: the walk is over.
  bool walk(std::size_t depth, std::int64_t from, std::int64_t to);
  bool walk_buckets(Level level, std::int64_t from, std::int64_t to);
  bool walk_samples(std::int64_t from, std::int64_t to);
  std::vector<Span> touched(std::int64_t length, std::int64_t from, std::int64_t to) const;
  bool fail(Status status) {
    status_ = std::move(status);
    return false;
  }

  const SeriesView& view_;
  std::int64_t step_;
  TotalsVisitor& visitor_;
  std::vector<RollupBucket> buckets_;
  Status status_;
};

bool TotalsWalk::walk(std::size_t depth, std::int64_t from, std::int64_t to) {
  if (from >= to) {
    return true;
  }
  if (depth == 0) {
    return walk_samples(from, to);
  }
  const Level level = levels[depth - 1];
  const std::int64_t length = bucket_length(level);
  const std::int64_t begin = ceiling_to(from, length);
  const std::int64_t end = floor_to(to, length);
  if (begin >= end) {
    return walk(depth - 1, from, to);
  }
  if (!walk(depth - 1, from, begin)) {
    return false;
  }
  std::int64_t at = begin;
  for (const Span& span : touched(length, begin, end)) {
    if (!walk_buckets(level, at, span.from) || !walk(depth - 1, span.from, span.to)) {
      return false;
    }
    at = span.to;
  }
  return walk_buckets(level, at, end) && walk(depth - 1, end, to);
}

/// Buckets of [from, to) that waiting samples or erasures lie in, joined where they meet.
std::vector<Span> TotalsWalk::touched(std::int64_t length, std::int64_t from,
                                      std::int64_t to) const {
  std::vector<Span> spans;
  const auto add = [&](std::int64_t first, std::int64_t last) {
    if (first < to && last >= from) {
      spans.push_back({floor_to(std::max(first, from), length),
                       floor_to(std::min(last, to - 1), length) + length});
    }
  };
  for (const StoredSample& sample : view_.waiting()) {
    if (sample.timestamp < view_.horizons().raw) {
      continue;  // Too old to be seen, and what it would lead to is gone.
    }
    add(sample.timestamp, sample.timestamp);
  }
  for (const Erasure& erasure : view_.erasures()) {
    add(erasure.from, erasure.to ? *erasure.to - 1 : INT64_MAX);
  }
  std::sort(spans.begin(), spans.end(),
            [](const Span& left, const Span& right) { return left.from < right.from; });
  std::vector<Span> joined;
  for (const Span& span : spans) {
    if (!joined.empty() && span.from <= joined.back().to) {
      joined.back().to = std::max(joined.back().to, span.to);
    } else {
      joined.push_back(span);
    }
  }
  return joined;
}

bool TotalsWalk::walk_buckets(Level level, std::int64_t from, std::int64_t to) {
  from = std::max(from, view_.horizons().of(level));
  if (from >= to) {
    return true;
  }
  const auto records = view_.sources().store.scan(
      storage::Family::series_rollups,
      {rollup_key(view_.prefix(), level, floor_to(from, block_length(level))),
       rollup_key(view_.prefix(), level, to)},
      &view_.sources().snapshot);
  if (!records) {
    return fail(closed_status());
  }
  for (records->seek_first(); records->valid(); records->next()) {
    const auto place = parse_rollup_place(records->key().substr(view_.prefix().size()));
    buckets_.clear();
    if (!place || !decode_rollup(records->value(), *place, view_.sources().workspace, buckets_)) {
      return fail(damaged_status());
    }
    for (const RollupBucket& bucket : buckets_) {
      if (bucket.start >= from && bucket.start < to &&
          !visitor_.part(bucket.start, bucket.totals)) {
        return false;
      }
    }
  }
  return records->status().ok() || fail(records->status());
}

bool TotalsWalk::walk_samples(std::int64_t from, std::int64_t to) {
  Parts parts(step_, visitor_);
  if (Status status = view_.walk({{from, to - 1}, false, {}}, parts); !status.ok()) {
    return fail(std::move(status));
  }
  return parts.flush();
}

}  // namespace

Status walk_totals(const SeriesView& view, std::int64_t step, std::int64_t from, std::int64_t to,
                   TotalsVisitor& visitor) {
  return TotalsWalk(view, step, visitor)
      .run(std::max(from, timestamp_min), std::min(to, timestamp_max + 1));
}

Result<TimeRange, Status> extent_of(const SeriesView& view) {
  TimeRange extent{INT64_MAX, INT64_MIN};
  const auto include = [&extent](std::int64_t first, std::int64_t last) {
    extent.from = std::min(extent.from, first);
    extent.to = std::max(extent.to, last);
  };
  if (!view.waiting().empty()) {
    include(view.waiting().front().timestamp, view.waiting().back().timestamp);
  }
  const auto chunks = view.chunks();
  const auto records = view.sources().store.scan(
      storage::Family::series_rollups,
      {std::string(view.prefix()), storage::prefix_end(view.prefix())}, &view.sources().snapshot);
  if (!chunks || !records) {
    return closed_status();
  }
  ChunkHeader header;
  chunks->seek_first();
  if (chunks->valid() && read_chunk_header(chunks->value(), header)) {
    include(header.first, header.last);
    chunks->seek_last();
    if (read_chunk_header(chunks->value(), header)) {
      include(header.first, header.last);
    }
  }
  for (const Level level : levels) {
    records->seek(rollup_key(view.prefix(), level, INT64_MIN));
    auto place = records->valid() ? parse_rollup_place(records->key().substr(view.prefix().size()))
                                  : std::nullopt;
    if (!place || place->level != level) {
      continue;
    }
    include(place->block, place->block + block_length(level) - 1);
    records->seek_before(rollup_key(view.prefix(), level, INT64_MAX));
    place = parse_rollup_place(records->key().substr(view.prefix().size()));
    if (place) {
      include(place->block, place->block + block_length(level) - 1);
    }
  }
  const Status status = chunks->status().ok() ? records->status() : chunks->status();
  if (!status.ok()) {
    return status;
  }
  return extent;
}

}  // namespace skerry::twin::series
