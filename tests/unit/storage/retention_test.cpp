// Observers of writes, and records that leave when their time is over; on disk and in memory.
#include <doctest/doctest.h>

#include <type_traits>

#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;

namespace {

struct Fixture {
  explicit Fixture(bool on_disk) {
    if (on_disk) {
      store = open_rocks(directory.path());
    } else {
      store = MemoryStore::create();
    }
  }
  TemporaryDirectory directory;
  std::unique_ptr<KvStore> store;
};

class Listener final : public WriteObserver {
 public:
  void written(const Batch& batch) override {
    batch.for_each([this](Batch::Kind, Family, std::string_view key, std::string_view) {
      keys.append(key).append(" ");
    });
  }
  void reopened() override { keys += "reopened "; }
  std::string keys;
};

/// Keeps what does not begin with "old".
class KeepNew final : public RetentionFilter {
 public:
  bool keeps(Family, std::string_view key, std::string_view) const override {
    return !key.starts_with("old");
  }
};

}  // namespace

TEST_CASE_TEMPLATE("an observer hears of what was written, in order, and of a reopening", OnDisk,
                   std::true_type, std::false_type) {
  Fixture fixture(OnDisk::value);
  Listener listener;
  fixture.store->set_observer(&listener);
  Batch batch;
  batch.put(Family::series_log, "a", "1");
  batch.put(Family::meta, "b", "2");
  REQUIRE(fixture.store->write(batch, true).ok());
  REQUIRE(fixture.store->reopen().ok());
  REQUIRE(put_one(*fixture.store, Family::meta, "c", "3").ok());
  CHECK(listener.keys == "a b reopened c ");
  fixture.store->set_observer(nullptr);
  REQUIRE(put_one(*fixture.store, Family::meta, "d", "4").ok());
  CHECK(listener.keys == "a b reopened c ");
}

TEST_CASE("an observer does not hear of a write that failed") {
  const auto store = MemoryStore::create();
  Listener listener;
  store->set_observer(&listener);
  store->fail_write(1, StatusCode::io_error);
  CHECK_FALSE(put_one(*store, Family::meta, "a", "1").ok());
  CHECK(listener.keys.empty());
}

TEST_CASE_TEMPLATE("expired records leave at a compaction, also after a reopening", OnDisk,
                   std::true_type, std::false_type) {
  Fixture fixture(OnDisk::value);
  KvStore& store = *fixture.store;
  for (const char* key : {"old 1", "new", "old 2"}) {
    REQUIRE(put_one(store, Family::series_chunks, key, "1").ok());
    REQUIRE(put_one(store, Family::registry, key, "1").ok());
  }
  store.set_retention(std::make_shared<const KeepNew>());
  REQUIRE(store.reopen().ok());
  REQUIRE(store.compact(Family::series_chunks, {"old 2", ""}).ok());
  CHECK(value_of(store, Family::series_chunks, "new") == "1");
  REQUIRE(store.compact(Family::series_chunks, {}).ok());
  REQUIRE(store.compact(Family::registry, {}).ok());
  CHECK(contents(store, Family::series_chunks).size() == 1);
  CHECK(contents(store, Family::registry).size() == 3);
}

TEST_CASE("what was erased gives its space back at a compaction") {
  Fixture fixture(true);
  KvStore& store = *fixture.store;
  Batch batch;
  for (int i = 0; i < 400; ++i) {
    // Text that does not compress.
    std::string value;
    for (unsigned at = 0, state = static_cast<unsigned>(i) + 1; at < 10'000; ++at) {
      state = state * 1'664'525u + 1'013'904'223u;
      value.push_back(static_cast<char>(state >> 24));
    }
    batch.put(Family::series_chunks, "k" + std::to_string(i), value);
  }
  REQUIRE(store.write(batch, true).ok());
  REQUIRE(store.compact(Family::series_chunks, {}).ok());
  const std::uint64_t before = store.size_bytes();
  CHECK(before > 4'000'000);
  batch.clear();
  batch.erase_range(Family::series_chunks, "k", "l");
  REQUIRE(store.write(batch, true).ok());
  REQUIRE(store.compact(Family::series_chunks, {}).ok());
  // The log of writes goes with the next reopening.
  REQUIRE(store.reopen().ok());
  CHECK(store.size_bytes() < 500'000);
}
