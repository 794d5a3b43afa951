// The life of a ChunkSeriesStore: opening, the thread that seals, what goes by itself, the end.
#include <pthread.h>

#include <algorithm>

#include "base/assert.hpp"
#include "twin/series/chunk_series_store.hpp"
#include "twin/series/device_reader.hpp"
#include "twin/series/plain_converter.hpp"

namespace skerry::twin::series {
namespace {

using storage::Batch;
using storage::Family;
using storage::Status;

/// Devices are gathered into one batch, and one sync, up to this.
constexpr std::size_t batch_bytes_wanted = 1024 * 1024;
constexpr std::size_t batch_devices_max = 256;

constexpr std::chrono::milliseconds tick{1'000};
constexpr std::chrono::minutes age_check{1};
constexpr std::chrono::hours expiry_check{1};
/// Pause behind a seal that failed, and between two compactions.
constexpr std::chrono::seconds failure_pause{1};
constexpr std::chrono::seconds compaction_pause{10};

}  // namespace

ChunkSeriesStore::ChunkSeriesStore(SeriesStoreOptions options)
    : options_(std::move(options)),
      retention_(std::make_shared<const Retention>(
          options_.rules, [clock = options_.clock] { return clock().wall; })),
      index_({options_.limits, *retention_, statistics_, due_}, options_.hash_key),
      sealer_(*options_.store, *retention_, statistics_) {
  SKERRY_ASSERT(options_.store != nullptr && options_.write && options_.clock);
  options_.store->set_observer(this);
  options_.store->set_retention(retention_);
}

ChunkSeriesStore::~ChunkSeriesStore() {
  stop();
  options_.store->set_observer(nullptr);
}

Status ChunkSeriesStore::open() {
  Status status = load();
  return status.ok() ? convert_plain() : status;
}

Status ChunkSeriesStore::load() {
  const auto newest = options_.store->scan(Family::series_latest, {});
  const auto rows = options_.store->scan(Family::series_log, {});
  if (!newest || !rows) {
    return closed_status();
  }
  for (newest->seek_first(); newest->valid(); newest->next()) {
    const auto place = parse_series_key(newest->key());
    LogRowReader reader(newest->value());
    Sample sample;
    if (!place || !reader.next(sample)) {
      count(statistics_.records_damaged);
      continue;
    }
    sample.key = place->key;
    index_.add_sealed(place->device, sample);
  }
  const SteadyTime now = options_.clock().steady;
  std::uint64_t last = 0;
  for (rows->seek_first(); rows->valid(); rows->next()) {
    const auto place = parse_log_key(rows->key());
    if (!place) {
      count(statistics_.records_damaged);
      continue;
    }
    last = std::max(last, place->sequence);
    index_.add_row(*place, rows->value(), now);
  }
  next_sequence_ = last + 1;
  return newest->status().ok() ? rows->status() : newest->status();
}

Status ChunkSeriesStore::convert_plain() {
  PlainConverter converter(*options_.store);
  for (;;) {
    Batch batch;
    const auto converted = converter.next(batch, [this] { return next_sequence_.fetch_add(1); });
    if (converted.has_error()) {
      return converted.error();
    }
    if (*converted == 0) {
      break;
    }
    if (Status status = options_.write(std::move(batch)); !status.ok()) {
      return status;
    }
    while (seal_due()) {
    }
  }
  count(statistics_.records_damaged, converter.damaged());
  if (converter.samples() > 0) {
    options_.log(
        "telemetry of the older form was converted: " + std::to_string(converter.samples()) +
        " samples, " + std::to_string(converter.damaged()) + " damaged records dropped");
  }
  return {};
}

void ChunkSeriesStore::start() {
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void ChunkSeriesStore::stop() {
  stopping_ = true;
  due_.wake();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void ChunkSeriesStore::run() {
  pthread_setname_np(pthread_self(), "skerry-series");
  SteadyTime next_age_check = options_.clock().steady;
  SteadyTime next_expiry_check = next_age_check;
  SteadyTime next_compaction = next_age_check;
  while (!stopping_) {
    const std::uint64_t failures = statistics_.seal_failures.load(std::memory_order_relaxed);
    const bool sealed = seal_due();
    const SteadyTime now = options_.clock().steady;
    if (statistics_.seal_failures.load(std::memory_order_relaxed) != failures && !stopping_) {
      // The committer reopens the store meanwhile.
      std::this_thread::sleep_for(failure_pause);
    }
    if (log_is_distrusted_.exchange(false)) {
      distrust_log();
    }
    if (now >= next_age_check) {
      index_.queue_older(now - options_.limits.seal_age);
      next_age_check = now + age_check;
    }
    if (now >= next_expiry_check) {
      remove_expired();
      next_expiry_check = now + expiry_check;
    }
    if (!sealed && !erased_.empty() && now >= next_compaction) {
      compact_erased();
      next_compaction = options_.clock().steady + compaction_pause;
    }
    if (!sealed && !stopping_) {
      due_.wait(tick);
    }
  }
}

bool ChunkSeriesStore::seal_due() {
  Batch batch;
  std::vector<std::pair<std::string, Sealer::Seal>> seals;
  while (batch.size_bytes() < batch_bytes_wanted && seals.size() < batch_devices_max) {
    auto device = due_.pop();
    if (!device) {
      break;
    }
    Batch of_device;
    Sealer::Seal seal = sealer_.seal(*device, of_device);
    if (seal.status.ok()) {
      batch.append(of_device);
    }
    seals.emplace_back(*std::move(device), std::move(seal));
  }
  if (seals.empty()) {
    return false;
  }
  const Status written = batch.empty() ? Status() : options_.write(std::move(batch));
  bool all_well = true;
  for (const auto& [device, seal] : seals) {
    if (written.ok() && seal.status.ok()) {
      finish_seal(device, seal);
      continue;
    }
    all_well = false;
    count(statistics_.seal_failures);
    const Status& failed = seal.status.ok() ? written : seal.status;
    options_.log("telemetry of " + device + " could not be worked into chunks: " + failed.detail);
    index_.queue_again(device);
  }
  return all_well;
}

void ChunkSeriesStore::finish_seal(const std::string& device, const Sealer::Seal& seal) {
  index_.remove_rows(device, seal.rows);
  if (seal.erased_much) {
    erased_.push_back(device);
  }
  const std::vector<NewestSample> stale = index_.stale(device);
  if (stale.empty()) {
    return;
  }
  DeviceReader reader(*options_.store, *retention_, device, {});
  for (NewestSample each : stale) {
    if (!reader.status().ok()) {
      return;  // They stay stale: whoever asks reads the disk.
    }
    auto newest = reader.view(each.key).newest(INT64_MAX);
    if (newest.has_value()) {
      each.sample = *std::move(newest);
      index_.put_newest(device, each);
    }
  }
}

Status ChunkSeriesStore::seal_all() {
  index_.queue_older(SteadyTime::max());
  const std::uint64_t failures = statistics_.seal_failures.load(std::memory_order_relaxed);
  while (seal_due()) {
  }
  return statistics_.seal_failures.load(std::memory_order_relaxed) == failures
             ? Status()
             : Status{storage::StatusCode::io_error, "a device could not be sealed"};
}

/// After a failure the log may hold rows that nobody was told of.
void ChunkSeriesStore::distrust_log() {
  const auto rows = options_.store->scan(Family::series_log, {});
  if (!rows) {
    log_is_distrusted_ = true;
    return;
  }
  for (rows->seek_first(); rows->valid(); rows->next()) {
    if (const auto place = parse_log_key(rows->key())) {
      index_.distrust_row(*place, rows->value());
    }
  }
}

void ChunkSeriesStore::remove_expired() {
  Batch batch;
  for (const auto& [device, key] : index_.remove_expired()) {
    batch.erase(Family::series_latest, latest_key(device, key));
  }
  if (!batch.empty() && !options_.write(std::move(batch)).ok()) {
    options_.log("series that have outlived their time could not be removed; they will be again");
  }
}

/// One range for all: many small ones would rewrite the same files again and again.
void ChunkSeriesStore::compact_erased() {
  const auto [first, last] = std::minmax_element(erased_.begin(), erased_.end());
  const storage::KeyRange range{device_prefix(*first), device_end(*last)};
  for (const Family family : {Family::series_chunks, Family::series_rollups, Family::series_log}) {
    if (const Status status = options_.store->compact(family, range); !status.ok()) {
      options_.log("space of erased telemetry stays in use for now: " + status.detail);
    }
  }
  erased_.clear();
}

}  // namespace skerry::twin::series
