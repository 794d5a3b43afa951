#include "twin/series/plain_converter.hpp"

#include <deque>

#include "twin/sample_record.hpp"
#include "twin/series/keys.hpp"
#include "twin/series/log_row.hpp"
#include "twin/series/series_view.hpp"

namespace skerry::twin::series {
namespace {

using storage::Family;
using storage::Status;

constexpr std::size_t piece_records_max = 4'000;
constexpr std::size_t piece_bytes_max = 1024 * 1024;
constexpr std::size_t row_samples_max = 500;

/// Samples of one device that own their texts.
struct OwnedSample {
  std::string key;
  StoredSample sample;
};

Sample view_of(const OwnedSample& owned) {
  Sample sample{owned.key, owned.sample.timestamp, std::int64_t{0}, owned.sample.flags};
  std::visit([&sample](const auto& value) { sample.value = value; }, owned.sample.value);
  return sample;
}

void put_row(const std::string& device, std::deque<OwnedSample>& samples, std::uint64_t sequence,
             storage::Batch& batch) {
  std::vector<Sample> views;
  for (const OwnedSample& owned : samples) {
    views.push_back(view_of(owned));
  }
  std::string row;
  append_samples_row(views, row);
  batch.put(Family::series_log, log_key(device, sequence), row);
  samples.clear();
}

}  // namespace

Result<std::size_t, Status> PlainConverter::next(storage::Batch& batch,
                                                 const std::function<std::uint64_t()>& sequence) {
  const auto records = store_.scan(Family::series, {});
  if (!records) {
    return closed_status();
  }
  std::deque<OwnedSample> samples;
  std::string device;
  std::string first;
  std::string last;
  std::size_t taken = 0;
  for (records->seek_first();
       records->valid() && taken < piece_records_max && batch.size_bytes() < piece_bytes_max;
       records->next(), ++taken) {
    last = records->key();
    first = taken == 0 ? last : first;
    const std::size_t device_size = records->key().find('\0');
    const auto place = device_size == std::string_view::npos
                           ? std::nullopt
                           : parse_record_key(records->key(), device_size + 1);
    auto sample = decode_sample(records->value());
    if (!place || !sample) {
      ++damaged_;
      continue;
    }
    const std::string_view of_device = records->key().substr(0, device_size);
    if (!samples.empty() && (of_device != device || samples.size() == row_samples_max)) {
      put_row(device, samples, sequence(), batch);
    }
    device = of_device;
    sample->timestamp = place->place.timestamp;
    samples.push_back({std::string(place->series), *std::move(sample)});
    ++samples_;
  }
  if (!samples.empty()) {
    put_row(device, samples, sequence(), batch);
  }
  if (taken > 0) {
    batch.erase_range(Family::series, first, last + '\0');
  }
  if (Status status = records->status(); !status.ok()) {
    return status;
  }
  return taken;
}

}  // namespace skerry::twin::series
