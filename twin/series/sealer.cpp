#include "twin/series/sealer.hpp"

#include <algorithm>
#include <set>

#include "twin/series/chunk_editor.hpp"
#include "twin/series/rollup_editor.hpp"

namespace skerry::twin::series {

using storage::Family;
using storage::Status;

namespace {

TimeRange range_of(const Erasure& erasure) noexcept {
  return {erasure.from, erasure.to ? *erasure.to - 1 : INT64_MAX};
}

bool is_whole(const Erasure& erasure) noexcept {
  return erasure.from <= timestamp_min && (!erasure.to || *erasure.to > timestamp_max);
}

/// Removes every record of the keys from … to.
void erase_records(const std::string& from, const std::string& to, storage::Batch& batch) {
  batch.erase_range(Family::series_chunks, from, to);
  batch.erase_range(Family::series_rollups, from, to);
}

void put_newest(std::string_view device, std::string_view key,
                const std::optional<StoredSample>& newest, storage::Batch& batch) {
  const std::string place = latest_key(device, key);
  if (!newest) {
    batch.erase(Family::series_latest, place);
    return;
  }
  Sample sample{{}, newest->timestamp, std::int64_t{0}, newest->flags};
  std::visit([&sample](const auto& value) { sample.value = value; }, newest->value);
  std::string record;
  append_samples_row(std::span(&sample, 1), record);
  batch.put(Family::series_latest, place, record);
}

}  // namespace

/// What one seal works on.
struct Sealer::Job {
  std::string_view device;
  const storage::Snapshot& snapshot;
  const Pending& pending;
  storage::Batch& batch;
  bool device_is_blank;  ///< everything in chunks was erased
};

Sealer::Seal Sealer::seal(std::string_view device, storage::Batch& batch) {
  Seal seal;
  const auto snapshot = store_.snapshot();
  if (!snapshot) {
    seal.status = closed_status();
    return seal;
  }
  auto pending = read_pending(store_, *snapshot, device, {{}, sealed_bytes_max, true});
  if (pending.has_error()) {
    seal.status = pending.error();
    return seal;
  }
  seal.has_more = pending->row_bytes >= sealed_bytes_max;
  const bool blank =
      std::any_of(pending->erasures.begin(), pending->erasures.end(),
                  [](const Erasure& erasure) { return erasure.key.empty() && is_whole(erasure); });
  const Job job{device, *snapshot, *pending, batch, blank};
  if (blank) {
    erase_records(device_prefix(device), device_end(device), batch);
    batch.erase_range(Family::series_latest, device_prefix(device), device_end(device));
    seal.erased_much = true;
  }
  const auto keys = keys_of(job);
  if (keys.has_error()) {
    seal.status = keys.error();
    return seal;
  }
  for (const std::string& key : *keys) {
    std::vector<StoredSample> samples;
    if (const auto waiting = pending->series.find(key); waiting != pending->series.end()) {
      samples = std::move(waiting->second.samples);
      seal.rows.samples.emplace_back(key, waiting->second.in_rows);
    }
    seal.status = seal_series(job, key, std::move(samples));
    if (!seal.status.ok()) {
      return seal;
    }
  }
  for (const std::string& row : pending->row_keys) {
    batch.erase(Family::series_log, row);
  }
  for (const Erasure& erasure : pending->erasures) {
    seal.erased_much = seal.erased_much || is_whole(erasure);
  }
  seal.rows.rows = static_cast<std::uint32_t>(pending->row_keys.size());
  seal.rows.bytes = pending->row_bytes;
  seal.rows.erasures = static_cast<std::uint32_t>(pending->erasures.size());
  count(statistics_.records_damaged, pending->damaged);
  count(statistics_.samples_collapsed, pending->collapsed);
  return seal;
}

/// Series with samples that wait, and those that an erasure names.
Result<std::vector<std::string>, Status> Sealer::keys_of(const Job& job) const {
  std::set<std::string, std::less<>> keys;
  for (const auto& [key, waiting] : job.pending.series) {
    keys.insert(key);
  }
  bool all = false;
  for (const Erasure& erasure : job.pending.erasures) {
    if (erasure.key.empty()) {
      all = true;
    } else {
      keys.insert(erasure.key);
    }
  }
  if (all && !job.device_is_blank) {
    const auto records = store_.scan(
        Family::series_latest, {device_prefix(job.device), device_end(job.device)}, &job.snapshot);
    if (!records) {
      return closed_status();
    }
    for (records->seek_first(); records->valid(); records->next()) {
      if (const auto place = parse_series_key(records->key())) {
        keys.emplace(place->key);
      }
    }
    if (Status status = records->status(); !status.ok()) {
      return status;
    }
  }
  return std::vector<std::string>(keys.begin(), keys.end());
}

Status Sealer::seal_series(const Job& job, const std::string& key,
                           std::vector<StoredSample> samples) {
  const std::string prefix = series_prefix(job.device, key);
  const std::string end = series_end(job.device, key);
  const std::vector<Erasure> erasures =
      job.device_is_blank ? std::vector<Erasure>() : job.pending.erasures_of(key);
  const bool whole = std::any_of(erasures.begin(), erasures.end(), &is_whole);
  if (whole) {
    erase_records(prefix, end, job.batch);
  }
  const bool blank = whole || job.device_is_blank;
  const Horizons horizons = retention_.horizons(job.device, key);
  const ChunkEditor::Parts parts{store_, job.snapshot, workspace_, statistics_, job.batch};
  ChunkEditor chunks(parts, prefix, end, blank);
  RollupEditor rollups(parts, prefix, horizons, blank);
  for (const Erasure& erasure : erasures) {
    if (blank) {
      break;
    }
    rollups.erase(range_of(erasure));
    if (Status status = chunks.erase(range_of(erasure)); !status.ok()) {
      return status;
    }
  }
  const auto expired = std::erase_if(
      samples, [&](const StoredSample& sample) { return sample.timestamp < horizons.raw; });
  count(statistics_.samples_expired, expired);
  count(statistics_.samples_sealed, samples.size());
  for (const StoredSample& sample : samples) {
    rollups.touch(sample.timestamp);
  }
  if (Status status = chunks.add(std::move(samples)); !status.ok()) {
    return status;
  }
  if (Status status = rollups.finish(chunks); !status.ok()) {
    return status;
  }
  const auto newest = chunks.newest();
  if (newest.has_error()) {
    return newest.error();
  }
  put_newest(job.device, key, *newest, job.batch);
  return {};
}

}  // namespace skerry::twin::series
