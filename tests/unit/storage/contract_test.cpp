// What every KvStore keeps, checked against the engine and against the store in memory alike.
#include <doctest/doctest.h>

#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// One store of either kind, with the place it lives in.
struct Fixture {
  explicit Fixture(bool on_disk)
      : store(on_disk ? open_rocks(directory.path() + "/store")
                      : std::unique_ptr<KvStore>(MemoryStore::create())) {}
  TemporaryDirectory directory;
  std::unique_ptr<KvStore> store;
};

void fill(KvStore& store) {
  Batch batch;
  for (const char* key : {"a", "b1", "b2", "b3", "c", "d"}) {
    batch.put(Family::documents, key, std::string("value of ") + key);
  }
  batch.put(Family::documents, "\xff\xff", "last");
  batch.put(Family::admin, "b15", "of another family");
  REQUIRE(store.write(batch, true).ok());
}

std::vector<std::string> keys_backward(KvStore& store, KeyRange range) {
  std::vector<std::string> result;
  const auto iterator = store.scan(Family::documents, std::move(range));
  for (iterator->seek_last(); iterator->valid(); iterator->previous()) {
    result.emplace_back(iterator->key());
  }
  return result;
}

}  // namespace

TEST_CASE("a prefix ends where the next one begins") {
  CHECK(prefix_end("ab") == "ac");
  CHECK(prefix_end("a\xff") == "b");
  CHECK(prefix_end("\xff\xff").empty());
  CHECK(prefix_end("").empty());
  CHECK(prefix_end("\x7f") == "\x80");
}

TEST_CASE("each family has its own name") {
  CHECK(name_of(Family::meta) == "meta");
  CHECK(name_of(Family::series_latest) == "series_latest");
  CHECK(name_of(Family::admin) == "admin");
}

TEST_CASE_TEMPLATE("a store keeps its contract for writes", OnDisk, std::true_type,
                   std::false_type) {
  Fixture fixture(OnDisk::value);
  KvStore& store = *fixture.store;
  fill(store);

  SUBCASE("what was put can be read, and only in its family") {
    CHECK(value_of(store, Family::documents, "b2") == "value of b2");
    CHECK(value_of(store, Family::documents, "b") == "<not found>");
    CHECK(value_of(store, Family::admin, "b2") == "<not found>");
    CHECK(value_of(store, Family::admin, "b15") == "of another family");
    CHECK(value_of(store, Family::meta, "format_version") == "1");
  }
  SUBCASE("keys and values may hold any byte, and values may be empty") {
    const std::string bytes("\0\n\xff\x80z", 5);
    REQUIRE(put_one(store, Family::registry, bytes, bytes).ok());
    REQUIRE(put_one(store, Family::registry, "empty", "").ok());
    CHECK(value_of(store, Family::registry, bytes) == bytes);
    CHECK(value_of(store, Family::registry, "empty").empty());
  }
  SUBCASE("the operations of a batch count in their order") {
    Batch batch;
    batch.put(Family::documents, "x", "first");
    batch.erase(Family::documents, "x");
    batch.erase(Family::documents, "a");
    batch.put(Family::documents, "a", "new");
    batch.put(Family::documents, "a", "newer");
    REQUIRE(store.write(batch, false).ok());
    CHECK(value_of(store, Family::documents, "x") == "<not found>");
    CHECK(value_of(store, Family::documents, "a") == "newer");
  }
  SUBCASE("an erased range ends before its end") {
    Batch batch;
    batch.erase_range(Family::documents, "b", "b3");
    batch.erase_range(Family::documents, "d", "c");
    batch.erase_range(Family::documents, "c", "");
    REQUIRE(store.write(batch, false).ok());
    CHECK(contents(store, Family::documents, {"a", "e"}) == Pairs{{"a", "value of a"},
                                                                  {"b3", "value of b3"},
                                                                  {"c", "value of c"},
                                                                  {"d", "value of d"}});
    CHECK(value_of(store, Family::admin, "b15") == "of another family");
  }
  SUBCASE("messages are put once and gone after their erase") {
    REQUIRE(put_one(store, Family::messages, "m1", "text").ok());
    Batch batch;
    batch.erase(Family::messages, "m1");
    batch.erase(Family::messages, "never there");
    REQUIRE(store.write(batch, true).ok());
    CHECK(contents(store, Family::messages).empty());
    REQUIRE(put_one(store, Family::messages, "m1", "again").ok());
    CHECK(value_of(store, Family::messages, "m1") == "again");
  }
}

TEST_CASE_TEMPLATE("a store keeps its contract for scans and seeks", OnDisk, std::true_type,
                   std::false_type) {
  Fixture fixture(OnDisk::value);
  KvStore& store = *fixture.store;
  fill(store);

  SUBCASE("a scan stays inside its range in both directions") {
    CHECK(contents(store, Family::documents, {"b", prefix_end("b")}) ==
          Pairs{{"b1", "value of b1"}, {"b2", "value of b2"}, {"b3", "value of b3"}});
    CHECK(keys_backward(store, {"b1", "c"}) == std::vector<std::string>{"b3", "b2", "b1"});
    CHECK(keys_backward(store, {"c", ""}) == std::vector<std::string>{"\xff\xff", "d", "c"});
    CHECK(contents(store, Family::documents, {"c", "b"}).empty());
    CHECK(contents(store, Family::documents, {"b4", "c"}).empty());
    CHECK(contents(store, Family::documents).size() == 7);
  }
  SUBCASE("seeks find the next key at or above, and at or below") {
    const auto iterator = store.scan(Family::documents, {"b1", "d"});
    CHECK_FALSE(iterator->valid());
    CHECK(iterator->key().empty());
    const auto at = [&] { return iterator->valid() ? std::string(iterator->key()) : "none"; };
    iterator->seek("b2");
    CHECK(at() == "b2");
    CHECK(iterator->value() == "value of b2");
    iterator->seek("b25");
    CHECK(at() == "b3");
    iterator->seek("a");
    CHECK(at() == "b1");
    iterator->previous();
    CHECK(at() == "none");
    iterator->seek("c1");
    CHECK(at() == "none");
    iterator->seek("d");
    CHECK(at() == "none");
    iterator->seek_before("b25");
    CHECK(at() == "b2");
    iterator->seek_before("b2");
    CHECK(at() == "b2");
    iterator->next();
    CHECK(at() == "b3");
    iterator->seek_before("b");
    CHECK(at() == "none");
    iterator->seek_before("z");
    CHECK(at() == "c");
    iterator->next();
    CHECK(at() == "none");
    iterator->next();
    CHECK(at() == "none");
  }
}

TEST_CASE_TEMPLATE("a store keeps its contract over time", OnDisk, std::true_type,
                   std::false_type) {
  Fixture fixture(OnDisk::value);
  KvStore& store = *fixture.store;
  fill(store);

  SUBCASE("a snapshot and an iterator do not see later writes") {
    const auto snapshot = store.snapshot();
    REQUIRE(snapshot != nullptr);
    const auto iterator = store.scan(Family::documents, {"c", "e"});
    Batch batch;
    batch.erase(Family::documents, "a");
    batch.erase(Family::documents, "d");
    batch.put(Family::documents, "b1", "changed");
    REQUIRE(store.write(batch, false).ok());
    CHECK(value_of(store, Family::documents, "a", snapshot.get()) == "value of a");
    CHECK(value_of(store, Family::documents, "b1", snapshot.get()) == "value of b1");
    CHECK(contents(store, Family::documents, {}, snapshot.get()).size() == 7);
    CHECK(value_of(store, Family::documents, "b1") == "changed");
    CHECK(contents(store, Family::documents).size() == 5);
    iterator->seek_last();
    CHECK(iterator->key() == "d");
  }
  SUBCASE("what was written is there after a reopening") {
    REQUIRE(put_one(store, Family::series, "s", "1", false).ok());
    REQUIRE(store.reopen().ok());
    CHECK(value_of(store, Family::series, "s") == "1");
    CHECK(contents(store, Family::documents).size() == 7);
    CHECK(put_one(store, Family::series, "s", "2").ok());
  }
  SUBCASE("a sync after writes ends well") {
    REQUIRE(put_one(store, Family::series, "s", "1", false).ok());
    CHECK(store.sync().ok());
    CHECK(store.write(Batch(), true).ok());
  }
}
