// The faults that the store in memory can be asked for.
#include <doctest/doctest.h>

#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;

TEST_CASE("the n-th write fails, and all after it until the store is healed") {
  const auto store = MemoryStore::create();
  store->fail_write(3, StatusCode::io_error);
  CHECK(put_one(*store, Family::admin, "1", "").ok());
  CHECK(put_one(*store, Family::admin, "2", "").ok());
  CHECK(put_one(*store, Family::admin, "3", "").code == StatusCode::io_error);
  CHECK(put_one(*store, Family::admin, "4", "").code == StatusCode::io_error);
  CHECK(store->sync().ok());
  CHECK(contents(*store, Family::admin).size() == 2);
  store->heal();
  CHECK(put_one(*store, Family::admin, "5", "").ok());
}

TEST_CASE("the n-th sync fails and keeps nothing") {
  const auto store = MemoryStore::create();
  store->fail_sync(1, StatusCode::io_error);
  REQUIRE(put_one(*store, Family::admin, "1", "", false).ok());
  CHECK(store->sync().code == StatusCode::io_error);
  store->forget_unsynced();
  CHECK(contents(*store, Family::admin).empty());
}

TEST_CASE("a write over the capacity stores nothing of its batch") {
  const auto store = MemoryStore::create();
  REQUIRE(put_one(*store, Family::admin, "key", std::string(100, 'x')).ok());
  store->set_capacity(200);
  Batch batch;
  batch.erase(Family::admin, "key");
  batch.put(Family::admin, "key", "changed");
  batch.put(Family::series, "large", std::string(300, 'x'));
  CHECK(store->write(batch, true).code == StatusCode::full);
  CHECK(value_of(*store, Family::admin, "key") == std::string(100, 'x'));
  CHECK(value_of(*store, Family::series, "large") == "<not found>");

  SUBCASE("smaller ones still fit") {
    CHECK(put_one(*store, Family::admin, "b", "small").ok());
  }
  SUBCASE("what shrinks the store is taken even when it is too full") {
    store->set_capacity(10);
    CHECK(put_one(*store, Family::admin, "key", "short").ok());
  }
  SUBCASE("healing lifts the capacity") {
    store->heal();
    CHECK(store->write(batch, true).ok());
  }
}

TEST_CASE("a power cut loses what was not synced and nothing else") {
  const auto store = MemoryStore::create();
  REQUIRE(put_one(*store, Family::admin, "kept", "old", false).ok());
  REQUIRE(put_one(*store, Family::admin, "gone", "old", true).ok());  // Syncs the first as well.
  Batch batch;
  batch.put(Family::admin, "kept", "new");
  batch.erase(Family::admin, "gone");
  batch.put(Family::admin, "more", "new");
  REQUIRE(store->write(batch, false).ok());
  REQUIRE(put_one(*store, Family::admin, "kept", "newest", false).ok());

  SUBCASE("without a sync") {
    store->forget_unsynced();
    CHECK(value_of(*store, Family::admin, "kept") == "old");
    CHECK(value_of(*store, Family::admin, "gone") == "old");
    CHECK(value_of(*store, Family::admin, "more") == "<not found>");
  }
  SUBCASE("with a sync before it") {
    REQUIRE(store->sync().ok());
    store->forget_unsynced();
    CHECK(value_of(*store, Family::admin, "kept") == "newest");
    CHECK(value_of(*store, Family::admin, "gone") == "<not found>");
    CHECK(value_of(*store, Family::admin, "more") == "new");
  }
}
