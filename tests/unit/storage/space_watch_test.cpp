// When free space is low, when it is well again, and what is asked of the store meanwhile.
#include "storage/space_watch.hpp"

#include <doctest/doctest.h>

#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;
using Kind = FreeSpaceMin::Kind;

}  // namespace

TEST_CASE("the mark is a size, a share, or by itself the smaller of 256 MiB and a tenth") {
  CHECK(mark_of({Kind::bytes, 7}, 1000) == 7);
  CHECK(mark_of({Kind::percent, 5}, 1000 * mebibyte) == 50 * mebibyte);
  CHECK(mark_of({}, 100 * mebibyte) == 10 * mebibyte);
  CHECK(mark_of({}, 100'000 * mebibyte) == 256 * mebibyte);
}

TEST_CASE("space is low below the mark and well a quarter above it") {
  const auto store = MemoryStore::create();
  std::optional<DiskSpace> space = DiskSpace{100 * mebibyte, 1000 * mebibyte};
  std::vector<std::string> told;
  SpaceWatchOptions options;
  options.minimum = {Kind::bytes, 40 * mebibyte};
  options.measure = [&] { return space; };
  options.log = [&](std::string_view event, std::string_view) { told.emplace_back(event); };
  SpaceWatch watch(*store, std::move(options));
  const auto now = std::chrono::steady_clock::now();
  const auto low_at = [&](std::uint64_t free) {
    space = DiskSpace{free, 1000 * mebibyte};
    watch.look(now);
    return watch.low().load();
  };
  CHECK_FALSE(low_at(40 * mebibyte));
  CHECK(low_at(40 * mebibyte - 1));
  CHECK(low_at(45 * mebibyte));
  CHECK(low_at(50 * mebibyte - 1));
  space.reset();  // nothing is known: as it was
  watch.look(now);
  CHECK(watch.low());
  CHECK_FALSE(low_at(50 * mebibyte));
  CHECK_FALSE(low_at(45 * mebibyte));
  CHECK(low_at(1));
  CHECK(watch.low_count() == 2);
  CHECK(watch.free_bytes() == 1);
  CHECK(told == std::vector<std::string>{"space_low", "space_recovered", "space_low"});
}

TEST_CASE("a mark of nothing watches nothing") {
  const auto store = MemoryStore::create();
  SpaceWatchOptions options;
  options.minimum = {Kind::bytes, 0};
  options.measure = [] { return DiskSpace{0, 1000}; };
  SpaceWatch watch(*store, std::move(options));
  CHECK_FALSE(watch.low());
}

TEST_CASE("what was erased is given back while space is low") {
  const TemporaryDirectory directory;
  const auto store = open_rocks(directory.path());
  for (int round = 0; round < 20; ++round) {
    Batch batch;
    for (int i = 0; i < 100; ++i) {
      batch.put(Family::messages, std::to_string(round * 1000 + i), std::string(1000, 'x'));
    }
    REQUIRE(store->write(batch, true).ok());
  }
  REQUIRE(store->compact(Family::messages, {}).ok());
  const std::uint64_t before = store->size_bytes();
  Batch erased;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 100; ++i) {
      erased.erase(Family::messages, std::to_string(round * 1000 + i));
    }
  }
  REQUIRE(store->write(erased, true).ok());
  SpaceWatchOptions options;
  options.minimum = {Kind::bytes, 100 * mebibyte};
  options.measure = [] { return DiskSpace{50 * mebibyte, 1000 * mebibyte}; };
  SpaceWatch watch(*store, std::move(options));
  CHECK(watch.low());
  CHECK(store->size_bytes() < before / 2);
  CHECK(contents(*store, Family::messages).empty());
}

TEST_CASE("what is known of a real directory") {
  const auto space = disk_space("/");
  REQUIRE(space);
  CHECK(space->total_bytes > 0);
  CHECK(space->free_bytes <= space->total_bytes);
  CHECK_FALSE(disk_space("/no/such/place"));
}
