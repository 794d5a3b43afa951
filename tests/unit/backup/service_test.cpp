// The backups of a running server: one at a time, the oldest go, what was left over is removed.
#include "backup/service.hpp"

#include <doctest/doctest.h>

#include <future>

#include "unit/backup/backup_fixture.hpp"

using namespace skerry;
using namespace skerry::backup;
using namespace skerry::backup::test;

namespace fs = std::filesystem;

namespace {

struct ServiceFixture : BackupFixture {
  ServiceOptions service_options() {
    ServiceOptions options;
    options.data_dir = data_dir;
    options.directory = directory.path + "/backups";
    options.keep = 2;
    options.server_version = "0.1.0";
    options.clock = [this] { return time_of_test + Seconds{seconds++}; };
    options.checkpoint = [this](const std::string& to) -> storage::Status {
      if (hold.valid()) {
        hold.wait();
      }
      return fail ? storage::Status{storage::StatusCode::full, "no space left"}
                  : store->checkpoint(to);
    };
    options.ended = [this](const Info& info) {
      const std::lock_guard lock(mutex);
      ended.push_back(info);
      changed.notify_all();
    };
    return options;
  }

  Info wait_for(std::size_t number) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ended.size() >= number; });
    return ended[number - 1];
  }

  std::atomic<int> seconds{0};
  std::shared_future<void> hold;
  bool fail = false;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Info> ended;
};

std::vector<std::string> names_of(const std::vector<Info>& all) {
  std::vector<std::string> names;
  for (const Info& info : all) {
    names.push_back(info.manifest.name);
  }
  return names;
}

}  // namespace

TEST_CASE("one backup is made at a time, and shows its state") {
  ServiceFixture fixture;
  std::promise<void> go;
  fixture.hold = go.get_future().share();
  BackupService service(fixture.service_options());
  Info info;
  REQUIRE(service.start("one", info).ok());
  CHECK(info.state == State::running);
  CHECK(service.start("two", info).code == Code::running);
  CHECK(service.find("one")->state == State::running);
  CHECK(service.erase("one").code == Code::running);
  CHECK(names_of(service.list()) == std::vector<std::string>{"one"});
  go.set_value();
  CHECK(fixture.wait_for(1).state == State::complete);
  CHECK(service.find("one")->state == State::complete);
  CHECK(service.start("one", info).code == Code::exists);
  CHECK(service.statistics().completed == 1);
  CHECK(!service.find("none"));
  CHECK(!service.find("../backups/one"));
  CHECK(service.erase("one").ok());
  CHECK(service.erase("one").code == Code::not_found);
  CHECK(service.list().empty());
}

TEST_CASE("without a name the time makes one") {
  ServiceFixture fixture;
  BackupService service(fixture.service_options());
  Info info;
  REQUIRE(service.start("", info).ok());
  CHECK(info.manifest.name == "20270115T080000Z");
  CHECK(fixture.wait_for(1).state == State::complete);
}

TEST_CASE(
    "the oldest go when there are more than are kept, and damaged ones stay to be looked at") {
  ServiceFixture fixture;
  BackupService service(fixture.service_options());
  std::size_t number = 0;
  const auto make = [&](const std::string& name) {
    Info info;
    REQUIRE(service.start(name, info).ok());
    REQUIRE(fixture.wait_for(++number).state == State::complete);
  };
  make("zebra");
  make("damaged");
  damage(fixture.path_of("damaged") + "/manifest.json");
  make("ant");
  CHECK(names_of(service.list()) == std::vector<std::string>{"ant", "damaged", "zebra"});
  CHECK(service.find("damaged")->state == State::damaged);
  make("bee");
  CHECK(names_of(service.list()) == std::vector<std::string>{"ant", "bee", "damaged"});
}

TEST_CASE("a failure is told until the next attempt") {
  ServiceFixture fixture;
  fixture.fail = true;
  BackupService service(fixture.service_options());
  Info info;
  REQUIRE(service.start("one", info).ok());
  CHECK(fixture.wait_for(1).outcome.code == Code::full);
  CHECK(service.find("one")->state == State::failed);
  CHECK(service.find("one")->outcome.detail == "no space left");
  CHECK(service.statistics().failed == 1);
  fixture.fail = false;
  REQUIRE(service.start("one", info).ok());
  CHECK(fixture.wait_for(2).state == State::complete);
  CHECK(service.find("one")->state == State::complete);
}

TEST_CASE("what a server that died has left unfinished is removed") {
  ServiceFixture fixture;
  const std::string unfinished = fixture.path_of(".unfinished-one");
  const std::string deleted = fixture.path_of(".deleted-two");
  fs::create_directories(unfinished + "/store");
  fs::create_directories(deleted);
  write_all(unfinished + "/store/x", "x");
  BackupService service(fixture.service_options());
  Info info;
  REQUIRE(service.start("three", info).ok());
  REQUIRE(fixture.wait_for(1).state == State::complete);
  CHECK(!fs::exists(unfinished));
  CHECK(!fs::exists(deleted));
}
