#include "twin/series/index.hpp"

#include <algorithm>
#include <limits>

#include "twin/series/samples.hpp"

namespace skerry::twin::series {
namespace {

/// Longer texts are not kept in memory; the disk is asked for them.
constexpr std::size_t text_in_memory_max = 64;

/// Devices of no rows have no oldest one.
constexpr SteadyTime no_time = SteadyTime::max();

std::int64_t snap(std::int64_t time, std::int64_t resolution) noexcept {
  const std::int64_t snapped = floor_to(time + resolution / 2, resolution);
  return std::clamp(snapped, timestamp_min, timestamp_max);
}

bool fits_memory(const Value& value) noexcept {
  const auto* text = std::get_if<std::string_view>(&value);
  return text == nullptr || text->size() <= text_in_memory_max;
}

bool fits_memory(const StoredSample& sample) noexcept {
  const auto* text = std::get_if<std::string>(&sample.value);
  return text == nullptr || text->size() <= text_in_memory_max;
}

void assign(StoredValue& target, const Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    target = std::string(*text);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    target = *integer;
  } else if (const auto* real = std::get_if<double>(&value)) {
    target = *real;
  } else {
    target = std::get<bool>(value);
  }
}

}  // namespace

struct SeriesIndex::Series {
  std::string key;
  StoredSample newest;
  std::uint32_t unsealed = 0;
  std::uint32_t follower = 0;  ///< where the key stood that came next in a message
  std::uint32_t changes = 0;
  std::uint32_t resolution = 0;  ///< milliseconds
  bool has_newest = false;
  bool is_stale = false;  ///< only the disk knows the newest

  bool may_have_samples() const noexcept { return has_newest || is_stale || unsealed > 0; }

  /// Takes `sample` for the newest when it is: the latest, and of several at one time the last in
  /// the order of samples.hpp.
  void take(const Sample& sample) {
    ++changes;
    if (has_newest && sample.timestamp < newest.timestamp) {
      return;
    }
    StoredSample candidate{sample.timestamp, std::int64_t{0}, sample.flags};
    const bool fits = fits_memory(sample.value);
    if (fits) {
      assign(candidate.value, sample.value);
    }
    is_stale = is_stale || !fits;
    if (has_newest && sample.timestamp == newest.timestamp && !is_before(newest, candidate)) {
      return;
    }
    has_newest = true;
    newest = std::move(candidate);
  }
};

struct SeriesIndex::Device {
  std::vector<std::unique_ptr<Series>> series;  ///< sorted by key
  std::uint32_t rows = 0;
  std::uint32_t erasures = 0;
  std::size_t bytes = 0;
  SteadyTime oldest = no_time;
  bool is_queued = false;

  /// Where `key` stands or would stand.
  std::size_t place_of(std::string_view key) const noexcept {
    const auto at = std::lower_bound(series.begin(), series.end(), key,
                                     [](const std::unique_ptr<Series>& left,
                                        std::string_view right) { return left->key < right; });
    return static_cast<std::size_t>(at - series.begin());
  }
  Series* find(std::string_view key) const noexcept {
    const std::size_t at = place_of(key);
    return at < series.size() && series[at]->key == key ? series[at].get() : nullptr;
  }
};

struct alignas(64) SeriesIndex::Stripe {
  explicit Stripe(HashKey key) : devices(0, Hash{key}) {}
  Stripe() : Stripe(HashKey{}) {}
  std::mutex mutex;
  std::unordered_map<std::string, Device, Hash, std::equal_to<>> devices;
};

SeriesIndex::SeriesIndex(Parts parts, HashKey hash_key)
    : parts_(parts),
      hash_key_(hash_key),
      stripes_(std::make_unique<std::array<Stripe, stripe_count>>()) {
  for (Stripe& stripe : *stripes_) {
    stripe.devices = decltype(stripe.devices)(0, Hash{hash_key});
  }
}

SeriesIndex::~SeriesIndex() = default;

SeriesIndex::Stripe& SeriesIndex::stripe_of(std::string_view device) const noexcept {
  return (*stripes_)[keyed_hash(hash_key_, device) % stripe_count];
}

SeriesIndex::Device& SeriesIndex::device_in(Stripe& stripe, std::string_view device) {
  const auto known = stripe.devices.find(device);
  if (known != stripe.devices.end()) {
    return known->second;
  }
  count(parts_.statistics.devices);
  count(parts_.statistics.memory_bytes, sizeof(Device) + sizeof(std::string) + device.size() + 48);
  return stripe.devices.try_emplace(std::string(device)).first->second;
}

/// Finds or adds a series. `before` is where the key before it stood in the message; devices name
/// their keys in the same order each time, so the next one is mostly known from there.
SeriesIndex::Series& SeriesIndex::series_in(Device& device, std::string_view device_id,
                                            std::string_view key, std::uint32_t& before) {
  auto& all = device.series;
  const std::uint32_t guess = before < all.size() ? all[before]->follower : 0;
  if (guess < all.size() && all[guess]->key == key) {
    before = guess;
    return *all[guess];
  }
  const std::size_t at = device.place_of(key);
  if (at == all.size() || all[at]->key != key) {
    auto added = std::make_unique<Series>();
    added->key = key;
    const SeriesRule* const rule = parts_.retention.rule_of(device_id, key);
    added->resolution = rule == nullptr ? 0 : static_cast<std::uint32_t>(rule->resolution.count());
    all.insert(all.begin() + static_cast<std::ptrdiff_t>(at), std::move(added));
    count(parts_.statistics.series);
    count(parts_.statistics.memory_bytes, sizeof(Series) + 24 + (key.size() > 15 ? key.size() : 0));
  }
  if (before < all.size()) {
    all[before]->follower = static_cast<std::uint32_t>(at);
  }
  before = static_cast<std::uint32_t>(at);
  return *all[at];
}

AppendResult SeriesIndex::admit(std::string_view device, std::span<const Sample> samples,
                                std::vector<Sample>& snapped) {
  const auto waiting = parts_.statistics.unsealed_samples.load(std::memory_order_relaxed);
  if (waiting >= parts_.limits.unsealed_samples_max) {
    count(parts_.statistics.refused_overloaded);
    return AppendResult::overloaded;
  }
  Stripe& stripe = stripe_of(device);
  const std::lock_guard lock(stripe.mutex);
  Device& known = device_in(stripe, device);
  if (known.bytes >= parts_.limits.device_unsealed_bytes_max) {
    count(parts_.statistics.refused_overloaded);
    return AppendResult::overloaded;
  }
  const AppendResult result = admit_series(known, device, samples, snapped);
  if (result != AppendResult::stored && known.series.empty()) {
    forget(stripe, device);
  }
  return result;
}

AppendResult SeriesIndex::admit_series(Device& device, std::string_view id,
                                       std::span<const Sample> samples,
                                       std::vector<Sample>& snapped) {
  std::uint32_t before = 0;
  for (const Sample& sample : samples) {
    const std::size_t had = device.series.size();
    const Series* series = nullptr;
    if (had >= parts_.limits.series_per_device_max ||
        parts_.statistics.series.load(std::memory_order_relaxed) >= parts_.limits.series_max) {
      series = device.find(sample.key);
      if (series == nullptr) {
        const bool device_full = had >= parts_.limits.series_per_device_max;
        count(device_full ? parts_.statistics.refused_device_full
                          : parts_.statistics.refused_store_full);
        return device_full ? AppendResult::device_full : AppendResult::store_full;
      }
    } else {
      series = &series_in(device, id, sample.key, before);
    }
    if (parts_.retention.snaps()) {
      snapped.push_back(sample);
      if (series->resolution > 0) {
        snapped.back().timestamp = snap(sample.timestamp, series->resolution);
      }
    }
  }
  return AppendResult::stored;
}

void SeriesIndex::queue_if_due(Device& device, std::string_view id, std::uint32_t samples) {
  const SeriesLimits& limits = parts_.limits;
  const bool pressed = parts_.statistics.unsealed_samples.load(std::memory_order_relaxed) >
                       limits.unsealed_samples_max / 4;
  const bool due = samples >= (pressed ? limits.seal_samples_pressed : limits.seal_samples) ||
                   device.rows >= limits.seal_rows || device.bytes >= limits.seal_bytes ||
                   device.erasures > 0;
  if (due && !device.is_queued) {
    device.is_queued = true;
    parts_.due.push(std::string(id));
  }
}

void SeriesIndex::add_row(const LogKey& place, std::string_view row, SteadyTime now) {
  Stripe& stripe = stripe_of(place.device);
  const std::lock_guard lock(stripe.mutex);
  Device& device = device_in(stripe, place.device);
  ++device.rows;
  device.bytes += row.size();
  device.oldest = std::min(device.oldest, now);
  LogRowReader reader(row);
  std::uint32_t most = 0;
  if (reader.is_erasure()) {
    ++device.erasures;
    const Erasure erasure = reader.erasure();
    for (const auto& series : device.series) {
      if (erasure.key.empty() || erasure.key == series->key) {
        series->is_stale = true;
        ++series->changes;
      }
    }
  } else {
    Sample sample;
    std::uint32_t before = 0;
    std::uint64_t samples = 0;
    while (reader.next(sample)) {
      Series& series = series_in(device, place.device, sample.key, before);
      series.take(sample);
      most = std::max(most, ++series.unsealed);
      ++samples;
    }
    count(parts_.statistics.unsealed_samples, samples);
  }
  queue_if_due(device, place.device, most);
}

void SeriesIndex::distrust_row(const LogKey& place, std::string_view row) {
  Stripe& stripe = stripe_of(place.device);
  const std::lock_guard lock(stripe.mutex);
  Device& device = device_in(stripe, place.device);
  LogRowReader reader(row);
  if (reader.is_erasure()) {
    for (const auto& series : device.series) {
      series->is_stale = true;
      ++series->changes;
    }
  } else {
    Sample sample;
    std::uint32_t before = 0;
    while (reader.next(sample)) {
      Series& series = series_in(device, place.device, sample.key, before);
      series.is_stale = true;
      ++series.changes;
    }
  }
  if (!device.is_queued) {
    device.is_queued = true;
    parts_.due.push(std::string(place.device));
  }
}

void SeriesIndex::queue_again(std::string_view device) {
  Stripe& stripe = stripe_of(device);
  const std::lock_guard lock(stripe.mutex);
  device_in(stripe, device).is_queued = true;
  parts_.due.push(std::string(device));
}

void SeriesIndex::add_sealed(std::string_view device, const Sample& newest) {
  Stripe& stripe = stripe_of(device);
  const std::lock_guard lock(stripe.mutex);
  std::uint32_t before = std::numeric_limits<std::uint32_t>::max();
  series_in(device_in(stripe, device), device, newest.key, before).take(newest);
}

void SeriesIndex::remove_rows(std::string_view device, const SealedRows& rows) {
  Stripe& stripe = stripe_of(device);
  const std::lock_guard lock(stripe.mutex);
  Device& known = device_in(stripe, device);
  known.is_queued = false;
  known.rows -= std::min(known.rows, rows.rows);
  known.bytes -= std::min(known.bytes, rows.bytes);
  known.erasures -= std::min(known.erasures, rows.erasures);
  known.oldest = known.rows == 0 ? no_time : known.oldest;
  std::uint64_t removed = 0;
  for (const auto& [key, samples] : rows.samples) {
    if (Series* const series = known.find(key)) {
      const std::uint32_t taken = std::min(series->unsealed, samples);
      series->unsealed -= taken;
      removed += taken;
    }
  }
  parts_.statistics.unsealed_samples.fetch_sub(removed, std::memory_order_relaxed);
  std::uint32_t most = 0;
  for (const auto& series : known.series) {
    most = std::max(most, series->unsealed);
  }
  queue_if_due(known, device, most);
}

std::vector<std::string> SeriesIndex::keys(std::string_view device, std::string_view after,
                                           std::size_t limit) const {
  std::vector<std::string> out;
  Stripe& stripe = stripe_of(device);
  const std::lock_guard lock(stripe.mutex);
  const auto known = stripe.devices.find(device);
  if (known == stripe.devices.end()) {
    return out;
  }
  const auto& all = known->second.series;
  for (std::size_t at = known->second.place_of(after); at < all.size() && out.size() < limit;
       ++at) {
    if (all[at]->key > after && all[at]->may_have_samples()) {
      out.push_back(all[at]->key);
    }
  }
  return out;
}

std::vector<NewestSample> SeriesIndex::newest(std::string_view device, std::string_view after,
                                              std::size_t limit,
                                              std::span<const std::string> wanted) const {
  std::vector<NewestSample> out;
  Stripe& stripe = stripe_of(device);
  const std::lock_guard lock(stripe.mutex);
  const auto known = stripe.devices.find(device);
  if (known == stripe.devices.end()) {
    return out;
  }
  const auto add = [&out](const Series& series) {
    if (series.may_have_samples()) {
      out.push_back({series.key, {}, series.changes});
      if (!series.is_stale) {
        out.back().sample = series.newest;
      }
    }
  };
  for (const std::string& key : wanted) {
    if (const Series* const series = known->second.find(key)) {
      add(*series);
    }
  }
  if (!wanted.empty()) {
    return out;
  }
  const auto& all = known->second.series;
  for (std::size_t at = known->second.place_of(after); at < all.size() && out.size() < limit;
       ++at) {
    if (all[at]->key > after) {
      add(*all[at]);
    }
  }
  return out;
}

std::vector<NewestSample> SeriesIndex::stale(std::string_view device) const {
  std::vector<NewestSample> out;
  Stripe& stripe = stripe_of(device);
  const std::lock_guard lock(stripe.mutex);
  const auto known = stripe.devices.find(device);
  if (known != stripe.devices.end()) {
    for (const auto& series : known->second.series) {
      if (series->is_stale) {
        out.push_back({series->key, {}, series->changes});
      }
    }
  }
  return out;
}

void SeriesIndex::put_newest(std::string_view device, const NewestSample& newest) {
  Stripe& stripe = stripe_of(device);
  const std::lock_guard lock(stripe.mutex);
  const auto known = stripe.devices.find(device);
  Series* const series = known == stripe.devices.end() ? nullptr : known->second.find(newest.key);
  if (series == nullptr || series->changes != newest.changes) {
    return;
  }
  if (newest.sample) {
    series->has_newest = true;
    series->is_stale = !fits_memory(*newest.sample);
    series->newest = series->is_stale ? StoredSample{newest.sample->timestamp, std::int64_t{0}, 0}
                                      : *newest.sample;
    return;
  }
  if (series->unsealed > 0) {
    return;
  }
  auto& all = known->second.series;
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(known->second.place_of(newest.key)));
  parts_.statistics.series.fetch_sub(1, std::memory_order_relaxed);
  if (all.empty() && known->second.rows == 0 && !known->second.is_queued) {
    forget(stripe, device);
  }
}

void SeriesIndex::forget(Stripe& stripe, std::string_view device) {
  stripe.devices.erase(stripe.devices.find(device));
  parts_.statistics.devices.fetch_sub(1, std::memory_order_relaxed);
}

void SeriesIndex::queue_older(SteadyTime before) {
  for (Stripe& stripe : *stripes_) {
    const std::lock_guard lock(stripe.mutex);
    for (auto& [id, device] : stripe.devices) {
      if (device.rows > 0 && device.oldest <= before && !device.is_queued) {
        device.is_queued = true;
        parts_.due.push(id);
      }
    }
  }
}

std::vector<std::pair<std::string, std::string>> SeriesIndex::remove_expired() {
  std::vector<std::pair<std::string, std::string>> removed;
  for (Stripe& stripe : *stripes_) {
    const std::lock_guard lock(stripe.mutex);
    for (auto& [id, device] : stripe.devices) {
      std::erase_if(device.series, [&, &id = id](const std::unique_ptr<Series>& series) {
        const Horizons horizons = parts_.retention.horizons(id, series->key);
        const bool expired = series->has_newest && !series->is_stale && series->unsealed == 0 &&
                             series->newest.timestamp < horizons.day;
        const bool unused = !series->may_have_samples();
        if (expired) {
          removed.emplace_back(id, series->key);
        }
        return expired || unused;
      });
    }
    std::erase_if(stripe.devices, [](const auto& entry) {
      return entry.second.series.empty() && entry.second.rows == 0 && !entry.second.is_queued;
    });
  }
  std::uint64_t series = 0;
  std::uint64_t devices = 0;
  for (Stripe& stripe : *stripes_) {
    const std::lock_guard lock(stripe.mutex);
    devices += stripe.devices.size();
    for (const auto& [id, device] : stripe.devices) {
      series += device.series.size();
    }
  }
  parts_.statistics.series.store(series, std::memory_order_relaxed);
  parts_.statistics.devices.store(devices, std::memory_order_relaxed);
  return removed;
}

}  // namespace skerry::twin::series
