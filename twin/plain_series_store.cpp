#include "twin/plain_series_store.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "twin/device_topic.hpp"
#include "twin/sample_record.hpp"

namespace skerry::twin {
namespace {

using storage::Family;
using storage::Status;
using storage::StatusCode;

constexpr std::uint64_t tie_max = UINT64_MAX;

std::string place_key(std::string_view device, std::string_view key, SamplePlace place) {
  std::string out = series_prefix(device, key);
  append_place(out, place);
  return out;
}

std::size_t value_bytes(const StoredSample& sample) noexcept {
  const auto* text = std::get_if<std::string>(&sample.value);
  return sizeof(StoredSample) + (text != nullptr ? text->size() : 0);
}

Status damaged() {
  return {StatusCode::corruption, "a telemetry record cannot be read"};
}

Status closed() {
  return {StatusCode::closed, "the store is being reopened"};
}

/// One page of a query, gathered from one iterator over the records of the device.
class PageReader {
 public:
  PageReader(const SeriesQuery& query, storage::Iterator& records)
      : query_(query), records_(records), prefix_(device_prefix(query.device)) {}

  Status read() {
    if (!query_.to || *query_.to > query_.from) {
      query_.keys.empty() ? read_every_series() : read_named_series();
    }
    return status_.ok() ? records_.status() : status_;
  }

  SeriesPage take() { return std::move(page_); }

 private:
  void read_every_series();
  void read_named_series();
  bool visit(const std::string& key);
  bool read_series(const std::string& key, std::optional<SamplePlace> after);
  void seek_start(std::string_view key, const std::optional<SamplePlace>& after);
  bool in_range(std::int64_t timestamp) const noexcept {
    return timestamp >= query_.from && (!query_.to || timestamp < *query_.to);
  }
  void move() { query_.descending ? records_.previous() : records_.next(); }
  bool full() const noexcept { return count_ >= query_.limit || bytes_ >= series_page_bytes_max; }

  const SeriesQuery& query_;
  storage::Iterator& records_;
  std::string prefix_;
  SeriesPage page_;
  Status status_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  std::size_t visits_ = 0;
};

void PageReader::read_every_series() {
  records_.seek(query_.start ? series_prefix(query_.device, query_.start->key) : prefix_);
  while (records_.valid()) {
    const auto record = parse_record_key(records_.key(), prefix_.size());
    if (!record) {
      status_ = damaged();
      return;
    }
    const std::string key(record->series);
    if (!visit(key)) {
      return;
    }
    records_.seek(series_end(query_.device, key));
  }
}

void PageReader::read_named_series() {
  std::vector<std::string> keys = query_.keys;
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (const std::string& key : keys) {
    if (query_.start && key < query_.start->key) {
      continue;
    }
    if (!visit(key)) {
      return;
    }
  }
}

/// False: the page ends here.
bool PageReader::visit(const std::string& key) {
  if (visits_ == series_page_visits_max) {
    page_.next = SeriesPosition{key, {}};
    return false;
  }
  ++visits_;
  const bool resumed = query_.start && query_.start->key == key;
  return read_series(key, resumed ? query_.start->after : std::nullopt);
}

void PageReader::seek_start(std::string_view key, const std::optional<SamplePlace>& after) {
  if (after) {
    const std::string target = place_key(query_.device, key, *after);
    query_.descending ? records_.seek_before(target) : records_.seek(target);
    if (records_.valid() && records_.key() == target) {
      move();
    }
    return;
  }
  if (query_.descending) {
    const std::int64_t last = query_.to ? *query_.to - 1 : INT64_MAX;
    records_.seek_before(place_key(query_.device, key, {last, tie_max}));
  } else {
    records_.seek(place_key(query_.device, key, {query_.from, 0}));
  }
}

bool PageReader::read_series(const std::string& key, std::optional<SamplePlace> after) {
  Series series{key, {}};
  bool goes_on = true;
  for (seek_start(key, after); records_.valid(); move()) {
    const auto record = parse_record_key(records_.key(), prefix_.size());
    if (!record || record->series != key || !in_range(record->place.timestamp)) {
      break;
    }
    if (full()) {
      page_.next = SeriesPosition{key, after};
      goes_on = false;
      break;
    }
    std::optional<StoredSample> sample = decode_sample(records_.value());
    if (!sample) {
      status_ = damaged();
      goes_on = false;
      break;
    }
    sample->timestamp = record->place.timestamp;
    after = record->place;
    ++count_;
    bytes_ += value_bytes(*sample);
    series.samples.push_back(*std::move(sample));
  }
  if (!series.samples.empty()) {
    page_.series.push_back(std::move(series));
  }
  return goes_on;
}

/// Puts the iterator on the newest record of the series it stands in.
bool seek_newest(const LatestQuery& query, std::string_view key, storage::Iterator& records) {
  const std::string prefix = series_prefix(query.device, key);
  const std::int64_t last = epoch_milliseconds(query.now) + clock_ahead_max_milliseconds;
  records.seek_before(place_key(query.device, key, {last, tie_max}));
  if (records.valid() && records.key().starts_with(prefix)) {
    return true;
  }
  records.seek_before(place_key(query.device, key, {INT64_MAX, tie_max}));
  return records.valid() && records.key().starts_with(prefix);
}

double number_of(const StoredValue& value) noexcept {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return static_cast<double>(*integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return *real;
  }
  const auto* boolean = std::get_if<bool>(&value);
  return boolean != nullptr && *boolean ? 1 : 0;
}

void add_to_bucket(AggregatePage& page, const std::string& key, const StoredSample& sample,
                   std::int64_t step) {
  const std::int64_t rest = (sample.timestamp % step + step) % step;
  const std::int64_t start = sample.timestamp - rest;
  if (page.series.empty() || page.series.back().key != key) {
    page.series.push_back({key, {}});
  }
  auto& buckets = page.series.back().buckets;
  if (buckets.empty() || buckets.back().start != start) {
    buckets.push_back({start, {}});
  }
  Aggregate& values = buckets.back().values;
  ++values.count;
  if (std::holds_alternative<std::string>(sample.value)) {
    return;
  }
  const double number = number_of(sample.value);
  values.minimum = values.numbers == 0 ? number : std::min(values.minimum, number);
  values.maximum = values.numbers == 0 ? number : std::max(values.maximum, number);
  values.first = values.numbers == 0 ? number : values.first;
  values.last = number;
  values.sum += number;
  ++values.numbers;
}

}  // namespace

AppendResult PlainSeriesStore::append(std::string_view device, std::span<const Sample> samples,
                                      storage::Batch& batch) {
  SKERRY_ASSERT(is_device_id(device));
  std::string key = device_prefix(device);
  const std::size_t prefix_size = key.size();
  std::string value;
  for (const Sample& sample : samples) {
    value.clear();
    encode_sample(sample, value);
    key.resize(prefix_size);
    key.append(sample.key).push_back('\0');
    append_place(key, {sample.timestamp, tie_of(value)});
    batch.put(Family::series, key, value);
  }
  return AppendResult::stored;
}

void PlainSeriesStore::erase(const SeriesErase& erase, storage::Batch& batch) {
  SKERRY_ASSERT(is_device_id(erase.device));
  if (!erase.key) {
    erase_device(erase.device, batch);
    return;
  }
  const std::int64_t to = erase.to.value_or(INT64_MAX);
  batch.erase_range(Family::series, place_key(erase.device, *erase.key, {erase.from, 0}),
                    place_key(erase.device, *erase.key, {to, 0}));
}

void PlainSeriesStore::erase_device(std::string_view device, storage::Batch& batch) {
  SKERRY_ASSERT(is_device_id(device));
  batch.erase_range(Family::series, device_prefix(device), device_end(device));
}

Result<SeriesPage, Status> PlainSeriesStore::query(const SeriesQuery& query) const {
  const auto records =
      store_.scan(Family::series, {device_prefix(query.device), device_end(query.device)});
  if (!records) {
    return closed();
  }
  PageReader reader(query, *records);
  if (Status status = reader.read(); !status.ok()) {
    return status;
  }
  return reader.take();
}

Result<AggregatePage, Status> PlainSeriesStore::aggregate(const AggregateQuery& query) const {
  SeriesQuery samples;
  samples.device = query.device;
  samples.keys = query.keys;
  samples.from = query.from;
  samples.to = query.to;
  samples.limit = series_page_samples_max;
  AggregatePage out;
  do {
    const auto page = this->query(samples);
    if (page.has_error()) {
      return page.error();
    }
    for (const Series& series : page->series) {
      for (const StoredSample& sample : series.samples) {
        add_to_bucket(out, series.key, sample, query.step);
      }
    }
    samples.start = page->next;
  } while (samples.start);
  return out;
}

Result<LatestPage, Status> PlainSeriesStore::latest(const LatestQuery& query) const {
  const std::string prefix = device_prefix(query.device);
  const auto records = store_.scan(Family::series, {prefix, device_end(query.device)});
  if (!records) {
    return closed();
  }
  LatestPage page;
  std::size_t bytes = 0;
  records->seek(query.after_key.empty() ? prefix : series_end(query.device, query.after_key));
  while (records->valid()) {
    const auto first = parse_record_key(records->key(), prefix.size());
    if (!first) {
      return damaged();
    }
    if (page.items.size() >= query.limit || bytes >= series_page_bytes_max) {
      page.more = true;
      break;
    }
    LatestItem item{std::string(first->series), {}};
    if (!seek_newest(query, item.key, *records)) {
      break;  // The iterator failed; its status says how.
    }
    const auto newest = parse_record_key(records->key(), prefix.size());
    std::optional<StoredSample> sample = decode_sample(records->value());
    if (!newest || !sample) {
      return damaged();
    }
    item.sample = *std::move(sample);
    item.sample.timestamp = newest->place.timestamp;
    bytes += value_bytes(item.sample);
    records->seek(series_end(query.device, item.key));
    page.items.push_back(std::move(item));
  }
  if (Status status = records->status(); !status.ok()) {
    return status;
  }
  return page;
}

Result<FleetLatestPage, Status> PlainSeriesStore::latest_of(const FleetLatestQuery& query) const {
  FleetLatestPage out;
  for (const std::string& device : query.devices) {
    auto page = latest({device, query.now, "", series_page_samples_max});
    if (page.has_error()) {
      return page.error();
    }
    out.devices.push_back({device, {}});
    for (LatestItem& item : page->items) {
      const bool wanted = query.keys.empty() || std::find(query.keys.begin(), query.keys.end(),
                                                          item.key) != query.keys.end();
      if (wanted) {
        out.devices.back().items.push_back(std::move(item));
      }
    }
  }
  return out;
}

Result<bool, Status> PlainSeriesStore::has_data(std::string_view device) const {
  const auto records = store_.scan(Family::series, {device_prefix(device), device_end(device)});
  if (!records) {
    return closed();
  }
  records->seek_first();
  if (Status status = records->status(); !status.ok()) {
    return status;
  }
  return records->valid();
}

}  // namespace skerry::twin
