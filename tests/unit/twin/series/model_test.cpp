// Random messages, late and doubled samples, erasures, seals, failures and restarts against the
// naive model. `SKERRY_SERIES_OPERATIONS` says how many operations; `make series-model` takes a
// million.
#include "unit/twin/series/model.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include "twin/series/chunk_series_store.hpp"
#include "twin/series/series_view.hpp"
#include "unit/twin/series/series_fixture.hpp"
#include "unit/twin/series_options.hpp"

namespace skerry::twin::series::test {
namespace {

using storage::Batch;

constexpr std::int64_t hour = 3'600'000;
const WallTime far_future = wall_from_epoch(timestamp_max);

class Run {
 public:
  explicit Run(std::uint32_t seed) : random_(seed) { open(); }

  void step() {
    const std::uint32_t dice = pick(1000);
    if (dice < 700) {
      append();
    } else if (dice < 708) {
      erase();
    } else if (dice < 710) {
      fail_a_write();
    } else if (dice < 730) {
      store_->seal_due();
    } else if (dice < 734) {
      REQUIRE(store_->seal_all().ok());
    } else if (dice < 735) {
      open();
    } else if (dice < 850) {
      check_samples();
    } else if (dice < 970) {
      check_buckets();
    } else {
      check_latest();
    }
  }

  void check_everything() {
    for (const std::string& device : devices) {
      SeriesQuery query;
      query.device = device;
      query.limit = 500;
      std::map<std::string, std::vector<StoredSample>> found;
      do {
        const auto page = store_->query(query);
        REQUIRE(page.has_value());
        for (const Series& series : page->series) {
          auto& all = found[series.key];
          all.insert(all.end(), series.samples.begin(), series.samples.end());
        }
        query.start = page->next;
      } while (query.start);
      const auto& wanted = model_.device(device);
      REQUIRE(found.size() == wanted.size());
      for (const auto& [key, samples] : wanted) {
        require_same(found[key], samples);
      }
    }
  }

 private:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_()) % below; }

  void open() {
    store_.reset();
    SeriesStoreOptions options = twin::test::series_options(*kv_, start_time);
    // Small, so that a run sees many seals.
    options.limits.seal_samples = 40;
    options.limits.seal_rows = 60;
    store_ = std::make_unique<ChunkSeriesStore>(std::move(options));
    REQUIRE(store_->open().ok());
  }

  const std::string& any_device() {
    return devices[pick(static_cast<std::uint32_t>(devices.size()))];
  }
  const std::string& any_key() { return keys[pick(static_cast<std::uint32_t>(keys.size()))]; }

  /// Mostly the next instant of a device that reports every ten seconds; at times late, by minutes
  /// or by days, at times the same again.
  std::int64_t any_time() {
    switch (pick(20)) {
      case 0:
        return clock_ - static_cast<std::int64_t>(pick(3600)) * 1000;
      case 1:
        return clock_ - static_cast<std::int64_t>(pick(40 * 24)) * hour - pick(5);
      case 2:
        return clock_;
      case 3:
        return -static_cast<std::int64_t>(pick(100'000));
      default:
        clock_ += 9'950 + pick(100);
        return clock_;
    }
  }

  StoredValue any_value(const std::string& key) {
    switch (key == "mixed" ? pick(5) : static_cast<std::uint32_t>(key.size()) % 5) {
      case 0:
        return static_cast<std::int64_t>(pick(50)) - 25;
      case 1:
        return static_cast<double>(pick(400)) / 10;
      case 2:
        return pick(2) == 0;
      case 3:
        return std::string("state ") + std::to_string(pick(4));
      default:
        return std::sqrt(static_cast<double>(pick(1000)));
    }
  }

  Sample view_of(const std::string& key, const StoredSample& stored) {
    Sample sample{key, stored.timestamp, std::int64_t{0}, stored.flags};
    std::visit([&sample](const auto& value) { sample.value = value; }, stored.value);
    return sample;
  }

  void append() {
    const std::string& device = any_device();
    std::vector<std::pair<std::string, StoredSample>> samples;
    const std::int64_t time = any_time();
    for (std::uint32_t left = 1 + pick(4); left > 0; --left) {
      const std::string& key = any_key();
      samples.push_back({key, {time, any_value(key), 0}});
    }
    std::vector<Sample> views;
    for (const auto& [key, sample] : samples) {
      views.push_back(view_of(key, sample));
    }
    Batch batch;
    REQUIRE(store_->append(device, views, batch) == AppendResult::stored);
    if (!kv_->write(batch, true).ok()) {
      return;
    }
    for (const auto& [key, sample] : samples) {
      model_.append(device, key, sample);
    }
  }

  void erase() {
    SeriesErase erase;
    erase.device = any_device();
    if (pick(5) != 0) {
      erase.key = any_key();
    }
    if (pick(4) != 0) {
      erase.from = clock_ - static_cast<std::int64_t>(pick(200)) * 60'000 * (1 + pick(30));
      erase.to = erase.from + static_cast<std::int64_t>(pick(2 * 3600)) * 1000;
    }
    Batch batch;
    store_->erase(erase, batch);
    REQUIRE(kv_->write(batch, true).ok());
    model_.erase(erase);
  }

  /// What was not written is nowhere, and the store goes on.
  void fail_a_write() {
    kv_->fail_write(1, storage::StatusCode::io_error);
    append();
    store_->seal_due();
    kv_->heal();
    REQUIRE(kv_->reopen().ok());
  }

  TimeRange any_range() {
    const std::int64_t from =
        pick(8) == 0 ? -200'000
                     : clock_ - static_cast<std::int64_t>(pick(48 * 60)) * 60'000 - pick(9);
    return {from, from + static_cast<std::int64_t>(pick(1 + pick(36 * 3600))) * 1000 + pick(3)};
  }

  static void require_same(const std::vector<StoredSample>& left,
                           const std::vector<StoredSample>& right) {
    REQUIRE(left.size() == right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
      REQUIRE(same(left[i], right[i]));
    }
  }

  void check_samples() {
    const TimeRange range = any_range();
    SeriesQuery query;
    query.device = any_device();
    query.keys = {any_key()};
    query.from = range.from;
    query.to = range.to;
    query.descending = pick(2) == 0;
    query.limit = 1 + pick(300);
    std::vector<StoredSample> found;
    do {
      const auto page = store_->query(query);
      REQUIRE(page.has_value());
      for (const Series& series : page->series) {
        found.insert(found.end(), series.samples.begin(), series.samples.end());
      }
      query.start = page->next;
    } while (query.start);
    auto wanted = model_.samples(query.device, query.keys[0], range.from, range.to);
    if (query.descending) {
      std::reverse(wanted.begin(), wanted.end());
    }
    require_same(found, wanted);
  }

  void check_buckets() {
    constexpr std::int64_t steps[] = {1'000, 7'000,    60'000,    90'000,       300'000,
                                      hour,  6 * hour, 24 * hour, 7 * 24 * hour};
    const TimeRange range = any_range();
    AggregateQuery query;
    query.device = any_device();
    query.keys = {any_key()};
    query.step = steps[pick(std::size(steps))];
    query.descending = pick(2) == 0;
    query.limit = 1 + pick(200);
    if (pick(6) != 0) {
      query.from = range.from;
      query.to = range.to;
    }
    const auto wanted = model_.buckets(query.device, query.keys[0], query);
    std::vector<AggregateBucket> found;
    do {
      const auto page = store_->aggregate(query);
      REQUIRE(page.has_value());
      for (const AggregateSeries& series : page->series) {
        REQUIRE(series.buckets.size() <= query.limit);
        found.insert(found.end(), series.buckets.begin(), series.buckets.end());
      }
      query.start = page->next;
    } while (query.start);
    REQUIRE(found.size() == wanted.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      REQUIRE(same(found[i], wanted[i]));
    }
  }

  void check_latest() {
    const std::string& device = any_device();
    const auto page = store_->latest({device, far_future, "", 1000});
    REQUIRE(page.has_value());
    const auto& wanted = model_.device(device);
    REQUIRE(page->items.size() == wanted.size());
    for (const LatestItem& item : page->items) {
      REQUIRE(same(item.sample, wanted.at(item.key).back()));
    }
    const auto fleet = store_->latest_of({{device}, {}, far_future});
    REQUIRE(fleet.has_value());
    REQUIRE(fleet->devices.at(0).items.size() == wanted.size());
    REQUIRE(*store_->has_data(device) == !wanted.empty());
  }

  const std::vector<std::string> devices = {"a", "a0", "b"};
  const std::vector<std::string> keys = {"count", "t", "on", "off", "abc", "wxyz", "mixed"};
  std::mt19937 random_;
  std::unique_ptr<storage::MemoryStore> kv_ = storage::MemoryStore::create();
  std::unique_ptr<ChunkSeriesStore> store_;
  Model model_;
  std::int64_t clock_ = start_time;
};

}  // namespace

TEST_CASE("the series store agrees with a naive model") {
  const char* const wanted = std::getenv("SKERRY_SERIES_OPERATIONS");
  const std::uint64_t operations = wanted == nullptr ? 15'000 : std::strtoull(wanted, nullptr, 10);
  constexpr std::uint64_t operations_of_run = 15'000;
  for (std::uint64_t done = 0; done < operations; done += operations_of_run) {
    const auto seed = static_cast<std::uint32_t>(done / operations_of_run + 1);
    CAPTURE(seed);
    Run run(seed);
    for (std::uint64_t i = 0; i < operations_of_run; ++i) {
      run.step();
    }
    run.check_everything();
  }
}

}  // namespace skerry::twin::series::test
