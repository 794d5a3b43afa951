// The series store over a store in memory: duplicates, order, paging, latest, deletion, faults.
// Every case runs twice: with samples that wait in the log, and with samples that are in chunks.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "twin/series/chunk_series_store.hpp"
#include "unit/twin/series_options.hpp"

namespace skerry::twin {
namespace {

using storage::Family;

struct World {
  std::unique_ptr<storage::MemoryStore> kv = storage::MemoryStore::create();
  series::ChunkSeriesStore series{test::series_options(*kv)};
  bool seals = false;

  World() {
    SUBCASE("in the log") {}
    SUBCASE("in chunks") {
      seals = true;
    }
  }

  void put(std::string_view device, std::vector<Sample> samples) {
    storage::Batch batch;
    REQUIRE(series.append(device, samples, batch) == AppendResult::stored);
    write(batch);
  }

  void write(const storage::Batch& batch) {
    REQUIRE(kv->write(batch, true).ok());
    if (seals) {
      REQUIRE(series.seal_all().ok());
    }
  }

  SeriesPage page(const SeriesQuery& query) const {
    auto page = series.query(query);
    REQUIRE(page.has_value());
    return *std::move(page);
  }

  LatestPage latest(std::string device, std::int64_t now) const {
    auto page = series.latest({std::move(device), wall_from_epoch(now), "", 1000});
    REQUIRE(page.has_value());
    return *std::move(page);
  }
};

std::string text_of(const StoredValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return std::to_string(*integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return "r" + std::to_string(*real);
  }
  if (const auto* boolean = std::get_if<bool>(&value)) {
    return *boolean ? "true" : "false";
  }
  return std::get<std::string>(value);
}

/// "key: ts=value ts=value; key: …"
std::string text_of(const SeriesPage& page) {
  std::string out;
  for (const Series& series : page.series) {
    out.append(out.empty() ? "" : "; ").append(series.key).append(":");
    for (const StoredSample& sample : series.samples) {
      out.append(" ").append(std::to_string(sample.timestamp)).append("=");
      out.append(text_of(sample.value));
    }
  }
  return out;
}

std::string text_of(const LatestPage& page) {
  std::string out;
  for (const LatestItem& item : page.items) {
    out.append(out.empty() ? "" : " ").append(item.key).append("@");
    out.append(std::to_string(item.sample.timestamp))
        .append("=")
        .append(text_of(item.sample.value));
  }
  return out;
}

Sample sample(std::string_view key, std::int64_t timestamp, std::int64_t value) {
  return {key, timestamp, value, 0};
}

SeriesQuery query_of(std::string device) {
  SeriesQuery query;
  query.device = std::move(device);
  return query;
}

TEST_CASE("values of every type read back as they were written") {
  World world;
  world.put("d", {{"int", 1, std::int64_t{INT64_MIN}, 0},
                  {"real", 1, -0.1, 0},
                  {"yes", 1, true, 0},
                  {"no", 1, false, 0},
                  {"text", 1, std::string_view("a\0b", 3), sample_flag(SampleFlag::clock_skew)},
                  {"none", 1, std::string_view(""), 0}});
  const SeriesPage page = world.page(query_of("d"));
  REQUIRE(page.series.size() == 6);
  CHECK(page.series[0].key == "int");
  CHECK(page.series[0].samples[0].value == StoredValue(std::int64_t{INT64_MIN}));
  CHECK(page.series[1].samples[0].value == StoredValue(false));
  CHECK(page.series[2].samples[0].value == StoredValue(std::string()));
  CHECK(page.series[3].samples[0].value == StoredValue(-0.1));
  CHECK(page.series[4].samples[0].value == StoredValue(std::string("a\0b", 3)));
  CHECK(page.series[4].samples[0].flags == sample_flag(SampleFlag::clock_skew));
  CHECK(page.series[5].samples[0].value == StoredValue(true));
}

TEST_CASE("a sample that comes twice is stored once, also when only its flag differs") {
  World world;
  world.put("d", {sample("a", 5, 1), sample("a", 5, 1)});
  world.put("d", {{"a", 5, std::int64_t{1}, sample_flag(SampleFlag::clock_skew)}});
  CHECK(text_of(world.page(query_of("d"))) == "a: 5=1");
}

TEST_CASE("different values at one timestamp are all kept") {
  World world;
  world.put("d", {sample("a", 5, 1), sample("a", 5, 2), {"a", 5, 1.0, 0}, {"a", 5, true, 0}});
  world.put("d", {{"a", 5, std::string_view("1"), 0}, {"a", 5, std::string_view(""), 0}});
  const SeriesPage page = world.page(query_of("d"));
  REQUIRE(page.series.size() == 1);
  CHECK(page.series[0].samples.size() == 6);
}

TEST_CASE("samples are ordered by time in both directions, before and after 1970") {
  World world;
  world.put("d", {sample("a", 7, 3), sample("a", -7, 1), sample("a", timestamp_max, 4),
                  sample("a", 0, 2), sample("a", timestamp_min, 0)});
  SeriesQuery query = query_of("d");
  query.from = -7;
  query.to = 8;
  CHECK(text_of(world.page(query)) == "a: -7=1 0=2 7=3");
  query.descending = true;
  CHECK(text_of(world.page(query)) == "a: 7=3 0=2 -7=1");
  query = query_of("d");
  CHECK(world.page(query).series[0].samples.size() == 5);
  query.descending = true;
  CHECK(world.page(query).series[0].samples.front().timestamp == timestamp_max);
}

TEST_CASE("from is included and to is not; an empty range is empty") {
  World world;
  world.put("d", {sample("a", 1, 1), sample("a", 2, 2), sample("a", 3, 3)});
  SeriesQuery query = query_of("d");
  query.from = 2;
  query.to = 3;
  CHECK(text_of(world.page(query)) == "a: 2=2");
  query.to = 2;
  CHECK(text_of(world.page(query)) == "");
  query.from = INT64_MIN;
  query.to = INT64_MIN;
  CHECK(text_of(world.page(query)) == "");
  query.descending = true;
  CHECK(text_of(world.page(query)) == "");
}

TEST_CASE("devices and keys that begin alike do not mix") {
  World world;
  world.put("d", {sample("a", 1, 1), sample("ab", 1, 2), sample("a.b", 1, 3)});
  world.put("d1", {sample("a", 1, 4)});
  world.put("d-", {sample("a", 1, 5)});
  CHECK(text_of(world.page(query_of("d"))) == "a: 1=1; a.b: 1=3; ab: 1=2");
  SeriesQuery query = query_of("d");
  query.keys = {"ab", "a", "nothing", "a"};
  CHECK(text_of(world.page(query)) == "a: 1=1; ab: 1=2");
  CHECK(text_of(world.latest("d", 1)) == "a@1=1 a.b@1=3 ab@1=2");
  CHECK(text_of(world.latest("d1", 1)) == "a@1=4");
}

/// All pages of a query one after the other, as one text.
std::vector<std::string> walk(const World& world, SeriesQuery query) {
  std::vector<std::string> out;
  for (int pages = 0; pages < 1000; ++pages) {
    const SeriesPage page = world.page(query);
    std::size_t count = 0;
    for (const Series& series : page.series) {
      for (const StoredSample& each : series.samples) {
        ++count;
        out.push_back(series.key + " " + std::to_string(each.timestamp) + " " +
                      text_of(each.value));
      }
    }
    CHECK(count <= query.limit);
    if (!page.next) {
      return out;
    }
    query.start = page.next;
  }
  FAIL("the cursor never ends");
  return out;
}

TEST_CASE("pages of any size give every sample once and in order") {
  World world;
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    const std::string key(1, static_cast<char>('a' + random() % 5));
    world.put("d", {sample(key, static_cast<std::int64_t>(random() % 40) - 20,
                           static_cast<std::int64_t>(random() % 3))});
  }
  for (const bool named : {false, true}) {
    for (const bool descending : {false, true}) {
      SeriesQuery query = query_of("d");
      query.from = -15;
      query.to = 15;
      query.descending = descending;
      if (named) {
        query.keys = {"e", "b", "zz", "c"};
      }
      const std::vector<std::string> whole = walk(world, query);
      CHECK(whole.size() > 50);
      CHECK(std::set<std::string>(whole.begin(), whole.end()).size() == whole.size());
      for (const std::size_t limit : {1, 2, 3, 7, 50}) {
        query.limit = limit;
        CHECK(walk(world, query) == whole);
      }
    }
  }
}

TEST_CASE("a page that was filled to the last sample has no next") {
  World world;
  world.put("d", {sample("a", 1, 1), sample("b", 1, 2)});
  SeriesQuery query = query_of("d");
  query.limit = 2;
  CHECK_FALSE(world.page(query).next);
  query.limit = 1;
  CHECK(world.page(query).next);
}

TEST_CASE("a page of long texts ends early and goes on by its cursor") {
  World world;
  const std::string text(telemetry_string_bytes_max, 't');
  std::vector<Sample> samples;
  constexpr std::size_t count = series_page_bytes_max / telemetry_string_bytes_max + 10;
  for (std::size_t i = 0; i < count; ++i) {
    samples.push_back({"a", static_cast<std::int64_t>(i), std::string_view(text), 0});
  }
  world.put("d", samples);
  SeriesQuery query = query_of("d");
  query.limit = series_page_samples_max;
  CHECK(world.page(query).next);
  CHECK(walk(world, query).size() == count);
}

TEST_CASE("a cursor into what was deleted meanwhile ends quietly") {
  World world;
  world.put("d", {sample("a", 1, 1), sample("a", 2, 2), sample("c", 1, 3)});
  SeriesQuery query = query_of("d");
  query.limit = 1;
  query.start = world.page(query).next;
  storage::Batch batch;
  world.series.erase_device("d", batch);
  world.write(batch);
  CHECK(text_of(world.page(query)) == "");
  world.put("d", {sample("b", 9, 9)});
  CHECK(text_of(world.page(query)) == "b: 9=9");
}

TEST_CASE("latest is the newest of each key whatever the order of arrival") {
  World world;
  world.put("d", {sample("a", 50, 1), sample("b", 10, 2)});
  world.put("d", {sample("a", 40, 3), sample("b", 20, 4)});
  CHECK(text_of(world.latest("d", 100)) == "a@50=1 b@20=4");
}

TEST_CASE("a sample from the far future does not hide later true ones") {
  World world;
  const std::int64_t now = 1'700'000'000'000;
  world.put("d", {sample("a", now + clock_ahead_max_milliseconds + 1, 1), sample("b", now * 2, 2)});
  world.put("d", {sample("a", now, 3)});
  CHECK(text_of(world.latest("d", now)) == "a@1700000000000=3 b@" + std::to_string(now * 2) + "=2");
  CHECK(text_of(world.latest("d", now + 1)).starts_with("a@1700000300001=1"));
}

TEST_CASE("latest of many keys comes in pages") {
  World world;
  std::string whole;
  for (char key = 'a'; key <= 'k'; ++key) {
    world.put("d", {sample(std::string_view(&key, 1), 1, key),
                    sample(std::string_view(&key, 1), 2, key)});
  }
  LatestQuery query{"d", wall_from_epoch(5), "", 3};
  std::string keys;
  for (;;) {
    const auto page = world.series.latest(query);
    REQUIRE(page.has_value());
    CHECK(page->items.size() <= 3);
    for (const LatestItem& item : page->items) {
      keys += item.key;
      CHECK(item.sample.timestamp == 2);
    }
    if (!page->more) {
      break;
    }
    query.after_key = page->items.back().key;
  }
  CHECK(keys == "abcdefghijk");
}

TEST_CASE("erasing a device takes all of it and nothing of its neighbours") {
  World world;
  for (const char* device : {"d", "d.", "d0", "D", "e"}) {
    world.put(device, {sample("a", -1, 1), sample("z", timestamp_max, 2), sample("é", 3, 4)});
  }
  storage::Batch batch;
  world.series.erase_device("d", batch);
  world.write(batch);
  CHECK_FALSE(*world.series.has_data("d"));
  CHECK(text_of(world.page(query_of("d"))) == "");
  CHECK(text_of(world.latest("d", 1)) == "");
  for (const char* device : {"d.", "d0", "D", "e"}) {
    CHECK(*world.series.has_data(device));
    CHECK(world.page(query_of(device)).series.size() == 3);
  }
}

TEST_CASE("a damaged record is an error, not silence") {
  World world;
  world.put("d", {sample("a", 1, 1)});
  const auto family = world.seals ? Family::series_chunks : Family::series_log;
  const auto records = world.kv->scan(family, {});
  records->seek_first();
  REQUIRE(records->valid());
  const std::string whole(records->value());
  for (const std::string& value :
       {std::string(), std::string("\x02") + whole.substr(1), whole.substr(0, whole.size() - 1)}) {
    storage::Batch batch;
    batch.put(family,
              world.seals ? std::string(records->key()) : "d" + std::string("\0zzzzzzzz", 9),
              value);
    world.kv->set_observer(nullptr);
    REQUIRE(world.kv->write(batch, true).ok());
    const auto page = world.series.query(query_of("d"));
    REQUIRE(page.has_error());
    CHECK(page.error().code == storage::StatusCode::corruption);
    if (!world.seals) {
      storage::Batch undo;
      undo.erase(family, "d" + std::string("\0zzzzzzzz", 9));
      REQUIRE(world.kv->write(undo, true).ok());
    }
  }
}

// The oracle: a plain map of what was put, queried by going through all of it.
TEST_CASE("random writes, deletions and queries agree with a naive model") {
  using Model =
      std::map<std::string, std::set<std::tuple<std::string, std::int64_t, std::int64_t>>>;
  World world;
  Model model;
  std::mt19937 random(11);
  const std::string devices[] = {"a", "a0", "a.", "b"};
  const std::string keys[] = {"x", "x.y", "xy", "é"};
  for (int round = 0; round < 4000; ++round) {
    const std::string& device = devices[random() % 4];
    const auto ts = static_cast<std::int64_t>(random() % 30) - 15;
    if (random() % 100 == 0) {
      storage::Batch batch;
      world.series.erase_device(device, batch);
      world.write(batch);
      model.erase(device);
    } else if (random() % 3 != 0) {
      const std::string& key = keys[random() % 4];
      const auto value = static_cast<std::int64_t>(random() % 2);
      world.put(device, {sample(key, ts, value)});
      model[device].insert({key, ts, value});
    } else {
      SeriesQuery query = query_of(device);
      query.from = ts;
      query.to = ts + static_cast<std::int64_t>(random() % 20);
      query.limit = 1 + random() % 10;
      query.descending = random() % 2 == 0;
      std::size_t expected = 0;
      for (const auto& [key, at, value] : model[device]) {
        expected += at >= query.from && at < *query.to ? 1 : 0;
      }
      REQUIRE(walk(world, query).size() == expected);
    }
  }
}

}  // namespace
}  // namespace skerry::twin
