#include "twin/series/pending.hpp"

#include <algorithm>

#include "twin/series/keys.hpp"
#include "twin/series/samples.hpp"

namespace skerry::twin::series {
namespace {

using storage::Status;
using storage::StatusCode;

StoredValue stored(const Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return std::string(*text);
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return *integer;
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return *real;
  }
  return std::get<bool>(value);
}

/// Samples of one row after the other; keys mostly come in the same order each time.
class Gatherer {
 public:
  Gatherer(const PendingOptions& options, Pending& pending)
      : options_(options), pending_(pending) {}

  void take(LogRowReader& reader) {
    Sample sample;
    std::size_t at = 0;
    while (reader.next(sample)) {
      PendingSeries* const series = series_at(at++, sample.key);
      if (series != nullptr) {
        ++series->in_rows;
        series->samples.push_back({sample.timestamp, stored(sample.value), sample.flags});
      }
    }
  }

  void erase(const Erasure& erasure) {
    for (auto& [key, series] : pending_.series) {
      if (erasure.key.empty() || erasure.key == key) {
        std::erase_if(series.samples, [&, &of_key = key](const StoredSample& sample) {
          return erasure.covers(of_key, sample.timestamp);
        });
      }
    }
  }

 private:
  struct Known {
    std::string key;
    PendingSeries* series;
  };

  PendingSeries* series_at(std::size_t at, std::string_view key) {
    if (at < known_.size() && known_[at].key == key) {
      return known_[at].series;
    }
    PendingSeries* series = nullptr;
    if (options_.keys.empty() ||
        std::binary_search(options_.keys.begin(), options_.keys.end(), key)) {
      const auto found = pending_.series.find(key);
      series = found != pending_.series.end()
                   ? &found->second
                   : &pending_.series.try_emplace(std::string(key)).first->second;
    }
    if (at <= known_.size() && at < places_max) {
      if (at == known_.size()) {
        known_.push_back({std::string(key), series});
      } else {
        known_[at] = {std::string(key), series};
      }
    }
    return series;
  }

  static constexpr std::size_t places_max = 1024;

  const PendingOptions& options_;
  Pending& pending_;
  std::vector<Known> known_;  ///< by the place in the row
};

}  // namespace

std::span<const StoredSample> Pending::samples_of(std::string_view key) const noexcept {
  const auto found = series.find(key);
  return found == series.end() ? std::span<const StoredSample>() : found->second.samples;
}

std::vector<Erasure> Pending::erasures_of(std::string_view key) const {
  std::vector<Erasure> out;
  std::copy_if(erasures.begin(), erasures.end(), std::back_inserter(out),
               [key](const Erasure& each) { return each.key.empty() || each.key == key; });
  return out;
}

Result<Pending, Status> read_pending(const storage::KvStore& store,
                                     const storage::Snapshot& snapshot, std::string_view device,
                                     const PendingOptions& options) {
  Pending pending;
  const auto rows = store.scan(storage::Family::series_log,
                               {device_prefix(device), device_end(device)}, &snapshot);
  if (!rows) {
    return Status{StatusCode::closed, "the store is being reopened"};
  }
  Gatherer gatherer(options, pending);
  for (rows->seek_first(); rows->valid() && pending.row_bytes < options.row_bytes_max;
       rows->next()) {
    const auto place = parse_log_key(rows->key());
    LogRowReader reader(rows->value());
    if (place && reader.is_erasure() && !reader.failed()) {
      pending.erasures.push_back(reader.erasure());
      pending.erasures.back().sequence = place->sequence;
      gatherer.erase(pending.erasures.back());
    } else if (place) {
      gatherer.take(reader);
    }
    pending.damaged += !place || reader.failed() ? 1 : 0;
    pending.row_bytes += rows->value().size();
    if (options.row_keys) {
      pending.row_keys.emplace_back(rows->key());
    }
  }
  for (auto& [key, series] : pending.series) {
    pending.collapsed += sort_and_collapse(series.samples);
  }
  if (Status status = rows->status(); !status.ok()) {
    return status;
  }
  return pending;
}

}  // namespace skerry::twin::series
