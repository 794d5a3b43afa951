// Records that cannot be read are kept in a file and leave the store.
#include "app/damaged_records.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "auth/secret_file.hpp"
#include "shard/records.hpp"

using namespace skerry;
using namespace skerry::app;
using storage::Family;

TEST_CASE("a damaged session goes with all its records, as lines of JSON and out of the store") {
  char name[] = "/tmp/skerry-damaged-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const std::string directory = name;
  const auto store = storage::MemoryStore::create();
  const std::string key = shard::durable_key(DurableId{7});
  storage::Batch batch;
  batch.put(Family::sessions, key, "\xff");
  batch.put(Family::subscriptions, shard::subscription_key(DurableId{7}, "a"), "x");
  batch.put(Family::subscriptions, shard::subscription_key(DurableId{8}, "a"), "x");
  batch.put(Family::retained, "t", "y");
  REQUIRE(store->write(batch, true).ok());
  storage::SalvageReport report;
  {
    storage::Committer committer(*store, {});
    DamagedRecords records(directory, report, wall_from_epoch(1));
    CHECK(records.finish(committer).empty());
    CHECK_FALSE(report.damaged());
    records.set_aside(Family::sessions, key, "\xff");
    records.set_aside(Family::retained, "t", "y");
    CHECK(records.finish(committer).empty());
  }
  CHECK(report.records == 2);
  CHECK(report.damaged());
  CHECK(auth::read_file(report.directory + "/records.ndjson") ==
        "{\"family\":\"sessions\",\"key\":\"0000000000000007\",\"value\":\"ff\"}\n"
        "{\"family\":\"retained\",\"key\":\"74\",\"value\":\"79\"}\n");
  std::string value;
  CHECK_FALSE(store->get(Family::sessions, key, value).ok());
  CHECK_FALSE(store->get(Family::retained, "t", value).ok());
  CHECK_FALSE(
      store->get(Family::subscriptions, shard::subscription_key(DurableId{7}, "a"), value).ok());
  CHECK(store->get(Family::subscriptions, shard::subscription_key(DurableId{8}, "a"), value).ok());
  std::filesystem::remove_all(directory);
}

TEST_CASE("when the file cannot be written the records stay") {
  const auto store = storage::MemoryStore::create();
  storage::Batch batch;
  batch.put(Family::retained, "t", "y");
  REQUIRE(store->write(batch, true).ok());
  storage::SalvageReport report;
  storage::Committer committer(*store, {});
  DamagedRecords records("/dev/null", report, wall_from_epoch(1));
  records.set_aside(Family::retained, "t", "y");
  CHECK_FALSE(records.finish(committer).empty());
  std::string value;
  CHECK(store->get(Family::retained, "t", value).ok());
}
