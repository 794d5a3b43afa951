// Roll-up records read back as they were; damaged ones are an error.
#include "twin/series/rollup.hpp"

#include <doctest/doctest.h>

#include "unit/twin/series/series_fixture.hpp"

namespace skerry::twin::series {
namespace {

using test::samples_of;

constexpr std::int64_t block = floor_to(test::start_time, block_length(Level::minute));

std::vector<RollupBucket> buckets_of(std::vector<StoredSample> samples) {
  std::vector<RollupBucket> buckets;
  const std::int64_t shift = block - test::start_time;
  for (const StoredSample& sample : samples) {
    const std::int64_t start = floor_to(sample.timestamp + shift, minute_milliseconds);
    if (buckets.empty() || buckets.back().start != start) {
      buckets.push_back({start, {}});
    }
    buckets.back().totals.add(sample.value);
  }
  return buckets;
}

std::string encoded(const std::vector<RollupBucket>& buckets) {
  Workspace workspace;
  std::string record;
  encode_rollup(buckets, {Level::minute, block}, workspace, record);
  return record;
}

std::size_t size_of(const std::vector<RollupBucket>& buckets) {
  const std::string record = encoded(buckets);
  Workspace workspace;
  std::vector<RollupBucket> back;
  REQUIRE(decode_rollup(record, {Level::minute, block}, workspace, back));
  CHECK(back == buckets);
  return record.size();
}

TEST_CASE("roll-ups of decimals are small") {
  CHECK(size_of(buckets_of(samples_of(1'440, 0, test::temperature()))) < 600);
  CHECK(size_of(buckets_of(samples_of(1'440, 0, [](std::size_t) { return StoredValue(true); }))) <
        60);
}

TEST_CASE("roll-ups of other numbers, of texts and of gaps read back") {
  size_of(buckets_of(samples_of(
      1'000, 0, [](std::size_t i) { return StoredValue(std::sqrt(static_cast<double>(i))); })));
  size_of(buckets_of(samples_of(1'000, 0, [](std::size_t i) -> StoredValue {
    return i % 4 == 0 ? StoredValue(std::string("x")) : StoredValue(static_cast<double>(i) / 8);
  })));
  auto gaps = buckets_of(samples_of(1'440, 0, [](std::size_t i) {
    return StoredValue(i < 60 ? INT64_MAX : static_cast<std::int64_t>(i));
  }));
  gaps.erase(gaps.begin() + 20, gaps.begin() + 50);
  size_of(gaps);
}

TEST_CASE("a damaged roll-up is an error or buckets of its block") {
  const std::string record = encoded(buckets_of(samples_of(600, 0, test::temperature())));
  Workspace workspace;
  std::vector<RollupBucket> out;
  for (std::size_t size = 0; size < record.size(); ++size) {
    CHECK_FALSE(decode_rollup(std::string_view(record).substr(0, size), {Level::minute, block},
                              workspace, out));
  }
  std::mt19937 random(9);
  for (int round = 0; round < 50'000; ++round) {
    std::string damaged = record;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    out.clear();
    if (decode_rollup(damaged, {Level::minute, block}, workspace, out)) {
      for (const RollupBucket& bucket : out) {
        REQUIRE(floor_to(bucket.start, block_length(Level::minute)) == block);
      }
    }
  }
}

TEST_CASE("times are cut down to multiples also before 1970 and at the ends") {
  CHECK(floor_to(59'999, 60'000) == 0);
  CHECK(floor_to(-1, 60'000) == -60'000);
  CHECK(floor_to(-60'000, 60'000) == -60'000);
  CHECK(floor_to(INT64_MIN, 60'000) == INT64_MIN);
}

}  // namespace
}  // namespace skerry::twin::series
