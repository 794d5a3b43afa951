#include "twin/series/rollup_editor.hpp"

#include <algorithm>

namespace skerry::twin::series {
namespace {

using storage::Family;
using storage::Status;

/// Minutes that are closer than this are made from one reading of samples.
constexpr std::int64_t group_gap = hour_milliseconds;

Level finer_than(Level level) noexcept {
  return level == Level::day ? Level::hour : Level::minute;
}

}  // namespace

RollupEditor::RollupEditor(ChunkEditor::Parts parts, std::string prefix, Horizons horizons,
                           bool is_blank)
    : parts_(parts), prefix_(std::move(prefix)), horizons_(horizons), is_blank_(is_blank) {}

void RollupEditor::touch(std::int64_t time) {
  const std::int64_t minute = floor_to(time, minute_milliseconds);
  if (touched_.empty() || touched_.back() != minute) {
    touched_.push_back(minute);
  }
}

Status RollupEditor::finish(ChunkEditor& chunks) {
  Edited minutes;
  Edited hours;
  Edited days;
  minutes.stale.insert(touched_.begin(), touched_.end());
  Status status = apply_erased(Level::minute, minutes, &hours);
  if (status.ok()) {
    status = apply_erased(Level::hour, hours, &days);
  }
  if (status.ok()) {
    status = apply_erased(Level::day, days, nullptr);
  }
  if (status.ok()) {
    status = make_minutes(chunks, minutes, hours);
  }
  if (status.ok()) {
    status = make_from_finer(Level::hour, hours, minutes, &days);
  }
  if (status.ok()) {
    status = make_from_finer(Level::day, days, hours, nullptr);
  }
  if (status.ok()) {
    write(Level::minute, minutes);
    write(Level::hour, hours);
    write(Level::day, days);
  }
  return status;
}

Status RollupEditor::apply_erased(Level level, Edited& edited, Edited* coarser) {
  for (const TimeRange& range : erased_) {
    if (Status status = erase_blocks(level, range, edited, coarser); !status.ok()) {
      return status;
    }
  }
  return {};
}

/// Drops the buckets that lie in the range, and marks those at its ends to be made anew.
Status RollupEditor::erase_blocks(Level level, TimeRange range, Edited& edited, Edited* coarser) {
  const std::int64_t length = bucket_length(level);
  const std::int64_t finer_horizon =
      level == Level::minute ? horizons_.raw : horizons_.of(finer_than(level));
  if (is_blank_) {
    return {};
  }
  const auto records =
      parts_.store.scan(Family::series_rollups,
                        {rollup_key(prefix_, level, floor_to(range.from, block_length(level))),
                         rollup_key(prefix_, level, range.to)},
                        &parts_.snapshot);
  if (!records) {
    return closed_status();
  }
  for (records->seek_first(); records->valid(); records->next()) {
    const auto place = parse_rollup_place(records->key().substr(prefix_.size()));
    if (!place) {
      count(parts_.statistics.records_damaged);
      continue;
    }
    const auto block = block_of(level, place->block, edited);
    if (block.has_error()) {
      return block.error();
    }
    std::erase_if(**block, [&](const RollupBucket& bucket) {
      if (!range.meets(bucket.start, bucket.start + length - 1)) {
        return false;
      }
      edited.changed.insert(place->block);
      if (coarser != nullptr) {
        const std::int64_t coarser_length =
            bucket_length(level == Level::minute ? Level::hour : Level::day);
        coarser->stale.insert(floor_to(bucket.start, coarser_length));
      }
      const bool inside = bucket.start >= range.from && bucket.start + length - 1 <= range.to;
      if (!inside && bucket.start >= finer_horizon) {
        edited.stale.insert(bucket.start);
      }
      return true;
    });
  }
  return records->status();
}

/// The buckets of the block that `time` lies in, read at the first use. The pointer is good until
/// `edited` goes.
Result<std::vector<RollupBucket>*, Status> RollupEditor::block_of(Level level, std::int64_t time,
                                                                  Edited& edited) {
  const std::int64_t block = floor_to(time, block_length(level));
  const auto [entry, is_new] = edited.blocks.try_emplace(block);
  if (!is_new || is_blank_) {
    return &entry->second;
  }
  std::string record;
  const Status status = parts_.store.get(Family::series_rollups, rollup_key(prefix_, level, block),
                                         record, &parts_.snapshot);
  if (status.code == storage::StatusCode::not_found) {
    return &entry->second;
  }
  if (!status.ok()) {
    return status;
  }
  if (!decode_rollup(record, {level, block}, parts_.workspace, entry->second)) {
    // What is damaged would stay so: it is made anew as far as it is touched.
    entry->second.clear();
    count(parts_.statistics.records_damaged);
  }
  return &entry->second;
}

/// Puts a bucket in its place; one without samples goes.
Status RollupEditor::replace(Level level, const RollupBucket& bucket, Edited& edited) {
  const auto block = block_of(level, bucket.start, edited);
  if (block.has_error()) {
    return block.error();
  }
  std::vector<RollupBucket>& buckets = **block;
  auto at = std::lower_bound(
      buckets.begin(), buckets.end(), bucket.start,
      [](const RollupBucket& left, std::int64_t start) { return left.start < start; });
  const bool exists = at != buckets.end() && at->start == bucket.start;
  if (bucket.totals.count == 0) {
    if (exists) {
      buckets.erase(at);
    }
  } else if (exists) {
    *at = bucket;
  } else {
    buckets.insert(at, bucket);
  }
  edited.changed.insert(floor_to(bucket.start, block_length(level)));
  return {};
}

Status RollupEditor::make_minutes(ChunkEditor& chunks, Edited& minutes, Edited& hours) {
  auto next = minutes.stale.begin();
  while (next != minutes.stale.end()) {
    const std::int64_t first = *next;
    auto end = std::next(next);
    std::int64_t last = first;
    while (end != minutes.stale.end() && *end - last <= group_gap) {
      last = *end++;
    }
    const auto samples = chunks.samples({first, last + minute_milliseconds - 1});
    if (samples.has_error()) {
      return samples.error();
    }
    auto sample = samples->begin();
    for (; next != end; ++next) {
      RollupBucket bucket{*next, {}};
      while (sample != samples->end() && sample->timestamp < *next) {
        ++sample;
      }
      for (; sample != samples->end() && sample->timestamp < *next + minute_milliseconds;
           ++sample) {
        bucket.totals.add(sample->value);
      }
      if (Status status = replace(Level::minute, bucket, minutes); !status.ok()) {
        return status;
      }
      hours.stale.insert(floor_to(*next, hour_milliseconds));
    }
  }
  return {};
}

Status RollupEditor::make_from_finer(Level level, Edited& edited, Edited& finer, Edited* coarser) {
  const Level below = finer_than(level);
  const std::int64_t length = bucket_length(level);
  for (const std::int64_t start : edited.stale) {
    if (start < horizons_.of(below)) {
      continue;  // What it is made of has outlived its time; it stays, or was erased.
    }
    const auto parts = block_of(below, start, finer);
    if (parts.has_error()) {
      return parts.error();
    }
    RollupBucket bucket{start, {}};
    for (const RollupBucket& part : **parts) {
      if (part.start >= start && part.start < start + length) {
        bucket.totals.add(part.totals);
      }
    }
    if (Status status = replace(level, bucket, edited); !status.ok()) {
      return status;
    }
    if (coarser != nullptr) {
      coarser->stale.insert(floor_to(start, bucket_length(Level::day)));
    }
  }
  return {};
}

void RollupEditor::write(Level level, const Edited& edited) {
  std::string record;
  for (const std::int64_t block : edited.changed) {
    const std::vector<RollupBucket>& buckets = edited.blocks.at(block);
    const std::string key = rollup_key(prefix_, level, block);
    if (buckets.empty()) {
      parts_.batch.erase(Family::series_rollups, key);
      continue;
    }
    record.clear();
    encode_rollup(buckets, {level, block}, parts_.workspace, record);
    parts_.batch.put(Family::series_rollups, key, record);
    count(parts_.statistics.rollups_written);
  }
}

}  // namespace skerry::twin::series
