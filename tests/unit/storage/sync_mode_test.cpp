// How much a power cut may lose in each sync mode, and that the committer says so.
#include <doctest/doctest.h>

#include <mutex>
#include <thread>

#include "storage/committer.hpp"
#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;
using namespace std::chrono_literals;

namespace {

Batch one(std::string_view key) {
  Batch batch;
  batch.put(Family::sessions, key, "");
  return batch;
}

CommitterOptions options_with(SyncMode mode) {
  CommitterOptions options;
  options.sync = mode;
  options.retry_first = 1ms;
  return options;
}

}  // namespace

TEST_CASE("the loss window is the age of what was acknowledged and not synced") {
  const auto memory = MemoryStore::create();
  MemoryStore& store = *memory;
  CommitterOptions options = options_with(SyncMode::commit);
  options.interval = 1h;
  SUBCASE("with a sync for every commit there is none") {
    Committer committer(store, options);
    CHECK(committer.write_and_wait(one("1")).ok());
    CHECK(committer.loss_window() == 0ns);
    CHECK(committer.statistics().unsynced_bytes == 0);
  }
  SUBCASE("it grows until the next sync, in the other modes") {
    for (const SyncMode mode : {SyncMode::interval, SyncMode::none}) {
      options.sync = mode;
      Committer committer(store, options);
      CHECK(committer.sync_mode() == mode);
      CHECK(committer.loss_window() == 0ns);
      CHECK(committer.write_and_wait(one("1")).ok());
      const auto first = committer.loss_window();
      CHECK(first > 0ns);
      CHECK(committer.statistics().unsynced_bytes == one("1").size_bytes());
      CHECK(committer.write_and_wait(one("2")).ok());
      CHECK(committer.loss_window() > first);
      CHECK(committer.statistics().unsynced_bytes == 2 * one("1").size_bytes());
    }
  }
  SUBCASE("a change of who may do what is synced in every mode, with all that came before") {
    for (const Family family : {Family::registry, Family::admin}) {
      options.sync = SyncMode::none;
      Committer committer(store, options);
      CHECK(committer.write_and_wait(one("1")).ok());
      Batch change;
      change.put(family, "device", "suspended");
      CHECK(committer.write_and_wait(change).ok());
      CHECK(committer.loss_window() == 0ns);
      store.forget_unsynced();
      CHECK(value_of(store, family, "device") == "suspended");
      CHECK(value_of(store, Family::sessions, "1").empty());
    }
  }
  SUBCASE("without syncs the end of the committer is one") {
    options.sync = SyncMode::none;
    {
      Committer committer(store, options);
      CHECK(committer.write_and_wait(one("1")).ok());
    }
    store.forget_unsynced();
    CHECK(contents(store, Family::sessions).size() == 1);
  }
}

TEST_CASE("a sync that fails leaves the window open until the store is well again, and is told") {
  const auto memory = MemoryStore::create();
  MemoryStore& store = *memory;
  CommitterOptions options = options_with(SyncMode::interval);
  std::vector<std::string> told;
  std::mutex mutex;
  options.interval = 0ms;
  options.log = [&](std::string_view event, std::string_view) {
    const std::lock_guard lock(mutex);
    told.emplace_back(event);
  };
  store.fail_sync(1, StatusCode::io_error);
  {
    Committer committer(store, options);
    CHECK(committer.write_and_wait(one("1")).ok());
    while (committer.statistics().reopens == 0) {
      std::this_thread::yield();
    }
    while (!committer.healthy()) {
      std::this_thread::yield();
    }
    CHECK(committer.loss_window() == 0ns);
    store.heal();
  }
  CHECK(told == std::vector<std::string>{"store_failed", "store_recovered"});
}
