// Token buckets and the table of them, in a time of our own.
#include "base/token_bucket.hpp"

#include <doctest/doctest.h>

#include "base/rate_table.hpp"

namespace skerry {

namespace {

constexpr SteadyTime start{std::chrono::hours(1)};
constexpr Rate ten_a_second{10, 20};

SteadyTime after(Milliseconds time) {
  return start + time;
}

int taken(TokenBucket& bucket, Rate rate, SteadyTime now) {
  int count = 0;
  while (count < 1'000 && bucket.take(rate, 1, now)) {
    ++count;
  }
  return count;
}

int taken(RateTable& table, std::uint64_t key, SteadyTime now) {
  int count = 0;
  while (count < 1'000 && table.take(key, now)) {
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a bucket gives its burst and then its rate") {
  TokenBucket bucket(start);
  CHECK(taken(bucket, ten_a_second, start) == 20);
  CHECK(taken(bucket, ten_a_second, after(Milliseconds(99))) == 0);
  CHECK(taken(bucket, ten_a_second, after(Milliseconds(1'001))) == 10);
  CHECK(taken(bucket, ten_a_second, after(Milliseconds(60'000))) == 20);
}

TEST_CASE("a clock that goes back fills nothing, one that jumps fills to the brim and no further") {
  TokenBucket bucket(start);
  CHECK(taken(bucket, ten_a_second, start) == 20);
  CHECK(taken(bucket, ten_a_second, start - std::chrono::minutes(30)) == 0);
  CHECK(taken(bucket, ten_a_second, after(Milliseconds(500))) == 5);
  CHECK(taken(bucket, ten_a_second, start + std::chrono::years(100)) == 20);
}

TEST_CASE("what was charged beyond the bucket is paid back before anything is ready") {
  TokenBucket bucket(start);
  bucket.charge(ten_a_second, 50, start);
  CHECK(!bucket.take(ten_a_second, 1, after(Milliseconds(2'990))));
  const SteadyTime ready = bucket.ready_at(ten_a_second, 1, start);
  CHECK(ready >= after(Milliseconds(3'100)));
  CHECK(ready < after(Milliseconds(3'101)));
  CHECK(bucket.take(ten_a_second, 1, ready));
  CHECK(bucket.ready_at(ten_a_second, 21, ready) == SteadyTime::max());
}

TEST_CASE("a rate of zero is no limit") {
  TokenBucket bucket(start);
  bucket.charge({}, 1e9, start);
  CHECK(bucket.take({}, 1e9, start));
  CHECK(bucket.full({}, start));
  CHECK(bucket.ready_at({}, 5, start) == start);
}

TEST_CASE("a table keeps one bucket for each key") {
  RateTable table(ten_a_second, 100);
  CHECK(taken(table, 1, start) == 20);
  CHECK(taken(table, 2, start) == 20);
  CHECK(taken(table, 1, after(Milliseconds(1'001))) == 10);
}

TEST_CASE("nobody is forgotten whose bucket is not full, so nobody gains by being pushed out") {
  RateTable table(ten_a_second, 8);
  CHECK(taken(table, 1, start) == 20);
  for (std::uint64_t key = 2; key < 10'000; ++key) {
    table.take(key, start);
  }
  CHECK(table.size() <= 8);
  CHECK(taken(table, 1, start) == 0);
  CHECK(table.shared_count() > 0);
}

TEST_CASE("keys that find the table full share one bucket, and the others keep theirs") {
  RateTable table(ten_a_second, 4);
  for (std::uint64_t key = 1; key <= 4; ++key) {
    table.take(key, start);
  }
  int strangers = 0;
  for (std::uint64_t key = 100; key < 1'000; ++key) {
    strangers += table.take(key, start) ? 1 : 0;
  }
  CHECK(strangers == 20);
  CHECK(taken(table, 3, start) == 19);
}

TEST_CASE("entries that are as good as new make room for others") {
  RateTable table(ten_a_second, 4);
  for (std::uint64_t key = 1; key <= 4; ++key) {
    table.take(key, start);
  }
  const SteadyTime later = after(Milliseconds(10'000));
  CHECK(taken(table, 50, later) == 20);
  CHECK(table.shared_count() == 0);
  CHECK(table.size() <= 4);
}

TEST_CASE("an entry stays as long as something is open there") {
  RateTable table({}, 4);
  const auto handle = table.open(7, start);
  table.open(7, start);
  for (std::uint64_t key = 100; key < 200; ++key) {
    table.close(table.open(key, start));
  }
  CHECK(table.open_count(7) == 2);
  CHECK(table.size() <= 4);
  table.close(handle);
  CHECK(table.open_count(7) == 1);
}

TEST_CASE("what is open of keys that share an entry is counted together") {
  RateTable table({}, 2);
  table.open(1, start);
  table.open(2, start);
  const auto third = table.open(3, start);
  const auto fourth = table.open(4, start);
  CHECK(table.open_count(3) == 2);
  CHECK(table.open_count(99) == 2);
  CHECK(table.open_count(1) == 1);
  table.close(third);
  table.close(fourth);
  CHECK(table.open_count(3) == 0);
}

}  // namespace skerry
