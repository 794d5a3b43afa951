// Chunks: everything comes back as it was, in little space, and damaged bytes are only an error.
#include "twin/series/chunk.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "twin/series/samples.hpp"
#include "unit/twin/series/series_fixture.hpp"

namespace skerry::twin::series {
namespace {

using test::samples_of;
using test::start_time;

std::string encoded(const std::vector<StoredSample>& samples) {
  Workspace workspace;
  std::string chunk;
  encode_chunk(samples, workspace, chunk);
  return chunk;
}

bool same(const std::vector<StoredSample>& left, const std::vector<StoredSample>& right) {
  if (left.size() != right.size()) {
    return false;
  }
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].timestamp != right[i].timestamp || left[i].flags != right[i].flags ||
        !same_value(left[i].value, right[i].value)) {
      return false;
    }
  }
  return true;
}

/// The size of the chunk; checks on the way that it reads back.
std::size_t size_of(const std::vector<StoredSample>& samples) {
  const std::string chunk = encoded(samples);
  Workspace workspace;
  std::vector<StoredSample> back;
  REQUIRE(decode_chunk(chunk, workspace, back));
  CHECK(same(samples, back));
  ChunkHeader header;
  REQUIRE(read_chunk_header(chunk, header));
  CHECK(header.first == samples.front().timestamp);
  CHECK(header.last == samples.back().timestamp);
  Totals totals;
  for (const StoredSample& sample : samples) {
    totals.add(sample.value);
  }
  CHECK(header.totals == totals);
  return chunk.size();
}

StoredValue integer(std::int64_t value) {
  return value;
}

TEST_CASE("one sample of every type reads back") {
  for (const StoredValue& value :
       {StoredValue(std::int64_t{INT64_MIN}), StoredValue(std::int64_t{INT64_MAX}), integer(0),
        StoredValue(0.1), StoredValue(-0.0), StoredValue(1e300),
        StoredValue(std::numeric_limits<double>::infinity()),
        StoredValue(std::numeric_limits<double>::quiet_NaN()), StoredValue(true),
        StoredValue(false), StoredValue(std::string()), StoredValue(std::string("a\0b", 3))}) {
    CHECK(size_of({{start_time, value, 0}}) < 90);
    CHECK(size_of({{timestamp_min, value, 0}, {timestamp_max, value, 1}}) < 110);
  }
}

TEST_CASE("regular series take little space") {
  // Header and columns of a chunk take some 50 bytes.
  CHECK(size_of(samples_of(480, 0, [](std::size_t) { return StoredValue(21.5); })) < 50);
  CHECK(size_of(samples_of(480, 0, test::temperature())) < 190);
  CHECK(size_of(samples_of(480, 50, test::temperature())) < 620);
  CHECK(size_of(samples_of(480, 0, [](std::size_t i) { return StoredValue(i % 100 < 3); })) < 80);
  CHECK(size_of(samples_of(480, 0, [](std::size_t i) {
          return integer(static_cast<std::int64_t>(4096 * ((i * 7919) % 401)));
        })) < 600);
  CHECK(size_of(samples_of(480, 0, [](std::size_t i) {
          return StoredValue(std::string(i % 7 == 0 ? "running, all is well" : "idle"));
        })) < 200);
}

TEST_CASE("a device that leaves out samples stays on its grid") {
  auto samples = samples_of(480, 50, test::temperature());
  for (const std::size_t at : {400u, 300u, 200u, 77u}) {
    samples.erase(samples.begin() + static_cast<std::ptrdiff_t>(at));
  }
  CHECK(size_of(samples) < 660);
}

TEST_CASE("numbers that are no decimals, and all types mixed, read back") {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> any(-1e9, 1e9);
  size_of(samples_of(480, 50, [&](std::size_t) { return StoredValue(any(random)); }));
  size_of(samples_of(480, 50,
                     [&](std::size_t) { return integer(static_cast<std::int64_t>(random())); }));
  size_of(samples_of(480, 3, [&](std::size_t i) -> StoredValue {
    switch (random() % 6) {
      case 0:
        return integer(static_cast<std::int64_t>(random() % 100));
      case 1:
        return 0.25 * static_cast<double>(random() % 100);
      case 2:
        return any(random);
      case 3:
        return random() % 2 == 0;
      case 4:
        return std::string(random() % 60, static_cast<char>('a' + i % 26));
      default:
        return 9'007'199'254'740'993.0 * static_cast<double>(random() % 3);
    }
  }));
}

TEST_CASE("whole numbers among fractions stay integers") {
  const auto samples = samples_of(100, 0, [](std::size_t i) -> StoredValue {
    return i % 2 == 0 ? integer(static_cast<std::int64_t>(i))
                      : StoredValue(0.5 * static_cast<double>(i));
  });
  CHECK(size_of(samples) < 250);
}

TEST_CASE("several values at one time, and flags, read back") {
  std::vector<StoredSample> samples;
  for (std::int64_t i = 0; i < 30; ++i) {
    samples.push_back({start_time + i / 10, integer(i * 3), 0});
  }
  samples[4].flags = sample_flag(SampleFlag::clock_skew);
  CHECK(sort_and_collapse(samples) == 0);
  size_of(samples);
}

TEST_CASE("a chunk cut anywhere is an error") {
  const std::string chunk = encoded(samples_of(100, 50, [](std::size_t i) -> StoredValue {
    return i % 3 == 0 ? StoredValue(std::string("text ") + std::to_string(i % 9))
                      : StoredValue(static_cast<double>(i) / 4);
  }));
  Workspace workspace;
  std::vector<StoredSample> out;
  for (std::size_t size = 0; size < chunk.size(); ++size) {
    CHECK_FALSE(decode_chunk(std::string_view(chunk).substr(0, size), workspace, out));
  }
  CHECK_FALSE(decode_chunk(chunk + "x", workspace, out));
}

TEST_CASE("damaged bytes give an error or samples in order, nothing worse") {
  std::mt19937 random(5);
  Workspace workspace;
  std::vector<StoredSample> out;
  std::size_t refused = 0;
  for (int shape = 0; shape < 4; ++shape) {
    const std::string chunk =
        encoded(samples_of(200, shape * 20, [&](std::size_t i) -> StoredValue {
          switch (shape) {
            case 0:
              return integer(static_cast<std::int64_t>(i * i));
            case 1:
              return std::sqrt(static_cast<double>(i));
            case 2:
              return std::string("state ") + std::to_string(i % 50);
            default:
              return i % 5 == 0;
          }
        }));
    for (int round = 0; round < 20'000; ++round) {
      std::string damaged = chunk;
      for (unsigned changes = 1 + static_cast<unsigned>(random()) % 3; changes > 0; --changes) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      if (!decode_chunk(damaged, workspace, out)) {
        ++refused;
        continue;
      }
      for (std::size_t i = 1; i < out.size(); ++i) {
        REQUIRE(out[i - 1].timestamp <= out[i].timestamp);
      }
    }
  }
  CHECK(refused > 10'000);
}

}  // namespace
}  // namespace skerry::twin::series
