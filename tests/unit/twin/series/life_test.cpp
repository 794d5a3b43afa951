// What happens to a series store over time: restarts, the older form, caps, rules, failures.
#include <doctest/doctest.h>

#include "twin/sample_record.hpp"
#include "twin/series/chunk_series_store.hpp"
#include "unit/twin/series/series_fixture.hpp"
#include "unit/twin/series_options.hpp"

namespace skerry::twin::series {
namespace {

using storage::Batch;
using storage::Family;
using test::start_time;

constexpr std::int64_t day = 24LL * 3600 * 1000;

struct World {
  explicit World(std::function<void(SeriesStoreOptions&)> change = [](SeriesStoreOptions&) {})
      : change_(std::move(change)) {
    open();
  }

  void open() {
    store.reset();
    SeriesStoreOptions options = twin::test::series_options(*kv, start_time);
    options.clock = [this] { return Now{{}, wall_from_epoch(wall)}; };
    change_(options);
    store = std::make_unique<ChunkSeriesStore>(std::move(options));
    REQUIRE(store->open().ok());
  }

  AppendResult put(std::string_view device, std::vector<Sample> samples) {
    Batch batch;
    const AppendResult result = store->append(device, samples, batch);
    if (result == AppendResult::stored) {
      REQUIRE(kv->write(batch, true).ok());
    } else {
      CHECK(batch.empty());
    }
    return result;
  }

  std::vector<StoredSample> samples(const std::string& device, const std::string& key) const {
    SeriesQuery query;
    query.device = device;
    query.keys = {key};
    query.limit = series_page_samples_max;
    const auto page = store->query(query);
    REQUIRE(page.has_value());
    return page->series.empty() ? std::vector<StoredSample>() : page->series[0].samples;
  }

  std::size_t buckets(const std::string& key, std::int64_t step) const {
    AggregateQuery query;
    query.device = "d";
    query.keys = {key};
    query.step = step;
    const auto page = store->aggregate(query);
    REQUIRE(page.has_value());
    return page->series.empty() ? 0 : page->series[0].buckets.size();
  }

  std::size_t records(Family family) const {
    std::size_t count = 0;
    const auto all = kv->scan(family, {});
    for (all->seek_first(); all->valid(); all->next()) {
      ++count;
    }
    return count;
  }

  std::unique_ptr<storage::MemoryStore> kv = storage::MemoryStore::create();
  std::int64_t wall = start_time;
  std::unique_ptr<ChunkSeriesStore> store;

 private:
  std::function<void(SeriesStoreOptions&)> change_;
};

Sample number(std::string_view key, std::int64_t time, double value) {
  return {key, time, value, 0};
}

TEST_CASE("telemetry of the older form is converted at the start, whole and once") {
  World world;
  Batch batch;
  for (const char* device : {"a", "b"}) {
    for (int i = 0; i < 5'000; ++i) {
      const Sample sample = number("t", start_time + 1000 * i, i / 10.0);
      std::string value;
      encode_sample(sample, value);
      std::string key = series_prefix(device, "t");
      append_place(key, {sample.timestamp, twin::tie_of(value)});
      batch.put(Family::series, key, value);
    }
  }
  batch.put(Family::series, series_prefix("b", "u") + "0123456789abcdef", "damaged");
  REQUIRE(world.kv->write(batch, true).ok());
  for (int round = 0; round < 2; ++round) {
    world.open();
    CHECK(world.records(Family::series) == 0);
    for (const char* device : {"a", "b"}) {
      const auto samples = world.samples(device, "t");
      REQUIRE(samples.size() == 5'000);
      CHECK(samples[4'999].value == StoredValue(499.9));
    }
  }
}

TEST_CASE("caps hold, say which, and let known series go on") {
  World world([](SeriesStoreOptions& options) {
    options.limits.series_max = 3;
    options.limits.series_per_device_max = 2;
    options.limits.unsealed_samples_max = 8;
  });
  CHECK(world.put("a", {number("x", 1, 1), number("y", 1, 1)}) == AppendResult::stored);
  CHECK(world.put("a", {number("z", 1, 1)}) == AppendResult::device_full);
  CHECK(world.put("b", {number("x", 1, 1)}) == AppendResult::stored);
  CHECK(world.put("b", {number("y", 1, 1)}) == AppendResult::store_full);
  CHECK(world.put("c", {number("y", 1, 1)}) == AppendResult::store_full);
  CHECK(world.store->statistics().devices == 2);
  CHECK(world.put("a", {number("y", 2, 1), number("x", 2, 1)}) == AppendResult::stored);
  for (int i = 0; i < 3; ++i) {
    CHECK(world.put("b", {number("x", 10 + i, 1)}) == AppendResult::stored);
  }
  CHECK(world.put("b", {number("x", 20, 1)}) == AppendResult::overloaded);
  REQUIRE(world.store->seal_all().ok());
  CHECK(world.put("b", {number("x", 20, 1)}) == AppendResult::stored);
  const SeriesStatistics& statistics = world.store->statistics();
  CHECK(statistics.refused_device_full == 1);
  CHECK(statistics.refused_store_full == 2);
  CHECK(statistics.refused_overloaded == 1);
  // A place becomes free when a series goes.
  Batch batch;
  world.store->erase_device("a", batch);
  REQUIRE(world.kv->write(batch, true).ok());
  REQUIRE(world.store->seal_all().ok());
  CHECK(world.put("c", {number("y", 1, 1)}) == AppendResult::stored);
}

TEST_CASE("a rule keeps roll-ups longer than samples, by whole days") {
  World world([](SeriesStoreOptions& options) {
    SeriesRule rule;
    rule.key = "t*";
    rule.raw = std::chrono::days{2};
    rule.minutes = std::chrono::days{4};
    options.rules = {rule};
  });
  const std::int64_t midnight = floor_to(start_time, day);
  world.wall = midnight + day;
  for (std::int64_t i = 0; i < 5; ++i) {
    world.put("d", {number("temperature", midnight - i * day + 5, 1),
                    number("other", midnight - i * day + 5, 1)});
    REQUIRE(world.store->seal_all().ok());
  }
  CHECK(world.store->statistics().samples_expired == 3);  // They came too late.
  CHECK(world.samples("d", "temperature").size() == 2);
  CHECK(world.samples("d", "other").size() == 5);
  world.wall += 2 * day;
  CHECK(world.samples("d", "temperature").empty());
  CHECK(world.buckets("temperature", 60'000) == 2);
  CHECK(world.buckets("temperature", day) == 2);
  const std::size_t chunks = world.records(Family::series_chunks);
  REQUIRE(world.kv->compact(Family::series_chunks, {}).ok());
  REQUIRE(world.kv->compact(Family::series_rollups, {}).ok());
  CHECK(world.records(Family::series_chunks) < chunks);
  CHECK(world.samples("d", "other").size() == 5);
  CHECK(world.buckets("temperature", 60'000) == 2);
  world.wall += 2 * day;
  CHECK(world.buckets("temperature", 60'000) == 0);
  CHECK(world.buckets("temperature", 3'600'000) == 2);
  const auto latest = world.store->latest({"d", wall_from_epoch(world.wall), "", 10});
  REQUIRE(latest.has_value());
  REQUIRE(latest->items.size() == 1);
  CHECK(latest->items[0].key == "other");
}

TEST_CASE("a rule moves timestamps to its resolution, others stay") {
  World world([](SeriesStoreOptions& options) {
    SeriesRule rule;
    rule.device = "lab-*";
    rule.resolution = std::chrono::seconds{1};
    options.rules = {rule};
  });
  world.put("lab-1", {number("t", 1'499, 1), number("t", 1'500, 2), number("t", -499, 3)});
  world.put("field", {number("t", 1'499, 1)});
  const auto samples = world.samples("lab-1", "t");
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].timestamp == 0);
  CHECK(samples[1].timestamp == 1'000);
  CHECK(samples[2].timestamp == 2'000);
  CHECK(world.samples("field", "t")[0].timestamp == 1'499);
}

TEST_CASE("patterns match with stars anywhere") {
  CHECK(matches("*", ""));
  CHECK(matches("a*c*e", "abcde"));
  CHECK(matches("**b", "aab"));
  CHECK_FALSE(matches("a*c", "abcd"));
  CHECK_FALSE(matches("", "a"));
}

TEST_CASE("what was not written shows nowhere; a seal that fails is done again") {
  World world;
  world.put("d", {number("t", 1, 1)});
  world.kv->fail_write(1, storage::StatusCode::io_error);
  Batch batch;
  const Sample lost = number("t", 2, 2);
  REQUIRE(world.store->append("d", std::span(&lost, 1), batch) == AppendResult::stored);
  CHECK_FALSE(world.kv->write(batch, true).ok());
  CHECK_FALSE(world.store->seal_all().ok());
  CHECK(world.store->statistics().seal_failures > 0);
  world.kv->heal();
  CHECK(world.samples("d", "t").size() == 1);
  REQUIRE(world.store->seal_all().ok());
  CHECK(world.records(Family::series_log) == 0);
  CHECK(world.samples("d", "t").size() == 1);
  const auto latest = world.store->latest({"d", wall_from_epoch(world.wall), "", 10});
  REQUIRE(latest.has_value());
  CHECK(latest->items.at(0).sample.timestamp == 1);
}

/// Cuts the end off every chunk there is, which leaves their heads as they are.
std::size_t damage_chunks(World& world) {
  Batch batch;
  std::size_t damaged = 0;
  const auto chunks = world.kv->scan(Family::series_chunks, {});
  for (chunks->seek_first(); chunks->valid(); chunks->next(), ++damaged) {
    const std::string_view value = chunks->value();
    batch.put(Family::series_chunks, std::string(chunks->key()),
              std::string(value.substr(0, value.size() - 1)));
  }
  REQUIRE(world.kv->write(batch, true).ok());
  return damaged;
}

TEST_CASE("a damaged chunk does not keep what comes after it from being sealed") {
  World world;
  world.put("d",
            {{"t", start_time, std::int64_t{1}, 0}, {"t", start_time + 50, std::int64_t{2}, 0}});
  REQUIRE(world.store->seal_all().ok());
  REQUIRE(damage_chunks(world) == 1);
  // Behind the chunk, which is small enough to be joined, and in its middle.
  world.put("d", {{"t", start_time + 100, std::int64_t{3}, 0}});
  CHECK(world.store->seal_all().ok());
  world.put("d", {{"t", start_time + 25, std::int64_t{4}, 0}});
  CHECK(world.store->seal_all().ok());
  CHECK(world.store->statistics().unsealed_samples == 0);
  CHECK(world.store->statistics().records_damaged > 0);
  SeriesQuery behind;
  behind.device = "d";
  behind.from = start_time + 60;
  const auto page = world.store->query(behind);
  REQUIRE(page.has_value());
  REQUIRE(page->series.size() == 1);
  CHECK(page->series[0].samples.size() == 1);
  SeriesQuery all;
  all.device = "d";
  CHECK(world.store->query(all).has_error());
  // Erasing a part of it takes it away.
  Batch batch;
  world.store->erase({"d", "t", start_time, start_time + 10}, batch);
  REQUIRE(world.kv->write(batch, true).ok());
  CHECK(world.store->seal_all().ok());
  CHECK(world.samples("d", "t").size() == 2);
}

TEST_CASE("a series that is erased leaves no record behind") {
  World world;
  for (int i = 0; i < 1'000; ++i) {
    world.put("d", {number("t", start_time + 1000 * i, i), number("u", start_time + 1000 * i, i)});
  }
  REQUIRE(world.store->seal_all().ok());
  Batch batch;
  world.store->erase({"d", "t", INT64_MIN, {}}, batch);
  REQUIRE(world.kv->write(batch, true).ok());
  CHECK(world.samples("d", "t").empty());
  REQUIRE(world.store->seal_all().ok());
  CHECK(world.records(Family::series_latest) == 1);
  CHECK(world.samples("d", "u").size() == 1'000);
  batch.clear();
  world.store->erase({"d", {}, INT64_MIN, start_time + 1'000'000}, batch);
  REQUIRE(world.kv->write(batch, true).ok());
  REQUIRE(world.store->seal_all().ok());
  for (const Family family :
       {Family::series_log, Family::series_latest, Family::series_chunks, Family::series_rollups}) {
    CHECK(world.records(family) == 0);
  }
  CHECK(world.store->statistics().series == 0);
}

}  // namespace
}  // namespace skerry::twin::series
