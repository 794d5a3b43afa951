// The naive model of the series store: every sample in a sorted vector, every question answered by
// going through all of them. What it shares with the store is the order of samples and the
// arithmetic of totals.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "twin/series/keys.hpp"
#include "twin/series/samples.hpp"
#include "twin/series/totals.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin::series::test {

class Model {
 public:
  using SeriesOfDevice = std::map<std::string, std::vector<StoredSample>>;

  void append(const std::string& device, const std::string& key, const StoredSample& sample) {
    auto& samples = devices_[device][key];
    const auto at = std::lower_bound(samples.begin(), samples.end(), sample, &is_before);
    if (at == samples.end() || is_before(sample, *at)) {
      samples.insert(at, sample);
    }
  }

  void erase(const SeriesErase& erase) {
    for (auto& [key, samples] : devices_[erase.device]) {
      if (!erase.key || *erase.key == key) {
        std::erase_if(samples, [&](const StoredSample& sample) {
          return sample.timestamp >= erase.from && (!erase.to || sample.timestamp < *erase.to);
        });
      }
    }
    std::erase_if(devices_[erase.device], [](const auto& entry) { return entry.second.empty(); });
  }

  const SeriesOfDevice& device(const std::string& device) { return devices_[device]; }

  std::vector<StoredSample> samples(const std::string& device, const std::string& key,
                                    std::int64_t from, std::int64_t to) {
    std::vector<StoredSample> out;
    const auto series = devices_[device].find(key);
    if (series != devices_[device].end()) {
      std::copy_if(series->second.begin(), series->second.end(), std::back_inserter(out),
                   [&](const StoredSample& sample) {
                     return sample.timestamp >= from && sample.timestamp < to;
                   });
    }
    return out;
  }

  std::vector<AggregateBucket> buckets(const std::string& device, const std::string& key,
                                       const AggregateQuery& query) {
    std::vector<std::pair<std::int64_t, Totals>> totals;
    for (const StoredSample& sample :
         samples(device, key, query.from, query.to.value_or(INT64_MAX))) {
      const std::int64_t start = floor_to(sample.timestamp, query.step);
      if (totals.empty() || totals.back().first != start) {
        totals.push_back({start, {}});
      }
      totals.back().second.add(sample.value);
    }
    std::vector<AggregateBucket> out;
    for (const auto& [start, each] : totals) {
      out.push_back({start, each.aggregate()});
    }
    if (query.descending) {
      std::reverse(out.begin(), out.end());
    }
    return out;
  }

 private:
  std::map<std::string, SeriesOfDevice> devices_;
};

inline bool same(const StoredSample& left, const StoredSample& right) {
  return left.timestamp == right.timestamp && same_value(left.value, right.value);
}

inline bool same(const AggregateBucket& left, const AggregateBucket& right) {
  const Aggregate& a = left.values;
  const Aggregate& b = right.values;
  return left.start == right.start && a.count == b.count && a.numbers == b.numbers &&
         (a.numbers == 0 || (a.minimum == b.minimum && a.maximum == b.maximum && a.sum == b.sum &&
                             a.first == b.first && a.last == b.last));
}

}  // namespace skerry::twin::series::test
