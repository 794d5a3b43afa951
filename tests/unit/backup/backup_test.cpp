// Backups of a store that goes on: what they hold, what damage they show, where they may go.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "backup/content.hpp"
#include "unit/backup/backup_fixture.hpp"

using namespace skerry;
using namespace skerry::backup;
using namespace skerry::backup::test;
using storage::Family;

namespace fs = std::filesystem;

namespace {

/// Size and time of change of every file below a directory.
std::map<std::string, std::pair<std::uintmax_t, fs::file_time_type>> facts_of(
    const std::string& root) {
  std::map<std::string, std::pair<std::uintmax_t, fs::file_time_type>> facts;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_regular_file()) {
      facts[entry.path().string()] = {entry.file_size(), entry.last_write_time()};
    }
  }
  return facts;
}

mode_t mode_of(const std::string& path) {
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  return facts.st_mode & 0777;
}

std::uint64_t records_of(const Manifest& manifest, std::string_view family) {
  for (const FamilyEntry& entry : manifest.families) {
    if (entry.name == family) {
      return entry.records;
    }
  }
  return 0;
}

bool names(const Verified& verified, const std::string& what) {
  for (const std::string& problem : verified.problems) {
    if (problem.find(what) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("a backup holds what was written before it began, flushed or not, and nothing later") {
  const BackupFixture fixture;
  fixture.put(Family::sessions, "s", 7, false);  // only in the log, and not synced
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  CHECK(records_of(made, "messages") == 2000);
  CHECK(records_of(made, "retained") == 300);
  CHECK(records_of(made, "sessions") == 7);
  CHECK(made.sequence >= 2000 + 300 + 20 + 7);
  CHECK(made.families.size() == storage::family_count);

  fixture.put(Family::sessions, "t", 5);
  const Verified verified = verify(fixture.path_of("one"), {});
  CHECK(verified.outcome.detail == "");
  CHECK(verified.manifest == made);
  Manifest later;
  REQUIRE(fixture.make("two", later).ok());
  CHECK(records_of(later, "sessions") == 12);
  CHECK(later.sequence == made.sequence + 5);
}

TEST_CASE("a backup is for its owner alone") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  CHECK(mode_of(fixture.path_of("one")) == 0700);
  for (const auto& entry : fs::recursive_directory_iterator(fixture.path_of("one"))) {
    CAPTURE(entry.path().string());
    CHECK(mode_of(entry.path().string()) == (entry.is_directory() ? 0700 : 0600));
  }
}

TEST_CASE("a name that is taken is not made again") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  CHECK(fixture.make("one", made).code == Code::exists);
  CHECK(verify(fixture.path_of("one"), {}).outcome.ok());
}

TEST_CASE("verification changes nothing") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  const auto before = facts_of(fixture.path_of("one"));
  REQUIRE(verify(fixture.path_of("one"), {}).outcome.ok());
  CHECK(facts_of(fixture.path_of("one")) == before);
}

TEST_CASE("one damaged bit, in whatever file, is found and named") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  std::vector<std::string> paths;
  REQUIRE(list_files(fixture.path_of("one"), paths).ok());
  REQUIRE(paths.size() >= 8);  // manifest and hash, ca, CURRENT, MANIFEST, OPTIONS, log, tables
  for (const std::string& path : paths) {
    CAPTURE(path);
    const std::string whole = fixture.path_of("one") + "/" + path;
    const std::string text = read_all(whole);
    if (text.empty()) {
      continue;
    }
    damage(whole);
    const Verified verified = verify(fixture.path_of("one"), {});
    CHECK(verified.outcome.code == Code::damaged);
    CHECK(names(verified, path));
    Manifest restored;
    const std::string target = fixture.directory.path + "/target";
    CHECK(restore(fixture.path_of("one"), target, {}, restored).code == Code::damaged);
    CHECK(!fs::exists(target));
    write_all(whole, text);
  }
  CHECK(verify(fixture.path_of("one"), {}).outcome.ok());
}

TEST_CASE("a file that is short, missing, or too many is found and named") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  const std::string root = fixture.path_of("one");
  const std::string key = root + "/ca/root.key";
  fs::resize_file(key, 3);
  CHECK(names(verify(root, {}), "ca/root.key has 3 bytes instead of 8"));
  fs::remove(key);
  CHECK(names(verify(root, {}), "ca/root.key is missing"));
  write_all(key, "a secret");
  write_all(root + "/store/extra.sst", "x");
  CHECK(names(verify(root, {}), "store/extra.sst is not in the manifest"));
  fs::remove(root + "/store/extra.sst");
  fs::create_symlink("/etc/hostname", root + "/ca/link");
  CHECK(names(verify(root, {}), "ca/link is not a plain file"));
  fs::remove(root + "/ca/link");
  fs::remove(root + "/manifest.sha256");
  CHECK(names(verify(root, {}), "manifest.sha256 is missing"));
  fs::remove(root + "/manifest.json");
  CHECK(verify(root, {}).outcome.code == Code::not_found);
}

TEST_CASE("a restored store is equal by content, and the server may start on it") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  const std::string target = fixture.directory.path + "/deep/target";
  Manifest restored;
  const Outcome outcome = restore(fixture.path_of("one"), target, {}, restored);
  CHECK(outcome.detail == "");
  REQUIRE(outcome.ok());
  CHECK(restored == made);
  CHECK(check_restored(target).ok());
  CHECK(read_all(target + "/ca/root.key") == "a secret");
  Content content;
  REQUIRE(read_content(target + "/store", content, {}).ok());
  CHECK(content.families == made.families);

  storage::RocksOptions rocks;
  rocks.directory = target + "/store";
  const auto opened = storage::open_rocks_store(rocks);
  REQUIRE(opened.status.ok());
  std::string value;
  CHECK(opened.store->get(Family::messages, "m1999", value).ok());
  CHECK(value.starts_with("value 1999"));
  // The backup is as it was, also after the store has been written to.
  storage::Batch batch;
  batch.put(Family::sessions, "new", "x");
  REQUIRE(opened.store->write(batch, true).ok());
  CHECK(verify(fixture.path_of("one"), {}).outcome.ok());
}

TEST_CASE("a backup is restored to an empty place only") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  const std::string target = fixture.directory.path + "/target";
  Manifest restored;
  SUBCASE("an empty directory") {
    fs::create_directory(target);
    CHECK(restore(fixture.path_of("one"), target, {}, restored).ok());
  }
  SUBCASE("one with a file") {
    fs::create_directory(target);
    write_all(target + "/mine", "x");
    const Outcome outcome = restore(fixture.path_of("one"), target, {}, restored);
    CHECK(outcome.code == Code::not_empty);
    CHECK(outcome.detail.find("is not empty") != std::string::npos);
    CHECK(read_all(target + "/mine") == "x");
  }
  SUBCASE("a file") {
    write_all(target, "x");
    CHECK(restore(fixture.path_of("one"), target, {}, restored).code == Code::not_empty);
  }
  SUBCASE("something that is no backup") {
    CHECK(restore(fixture.data_dir, target, {}, restored).code == Code::not_found);
    CHECK(!fs::exists(target));
  }
}

TEST_CASE("a directory that a server runs on is told as such") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  // The engine's lock is one of a process, so another must ask.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    Manifest restored;
    const Outcome outcome = restore(fixture.path_of("one"), fixture.data_dir, {}, restored);
    const bool told = outcome.code == Code::not_empty &&
                      outcome.detail.find("a server is running on") != std::string::npos;
    ::_exit(told ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("a restore that breaks off, wherever, leaves nothing that a server starts on") {
  const BackupFixture fixture;
  Manifest made;
  REQUIRE(fixture.make("one", made).ok());
  int unfinished = 0;
  for (int allowed = 0;; ++allowed) {
    const std::string target = fixture.directory.path + "/target" + std::to_string(allowed);
    int pieces = 0;
    Attention attention;
    attention.stop = [&] { return pieces++ >= allowed; };
    Manifest restored;
    const Outcome outcome = restore(fixture.path_of("one"), target, attention, restored);
    if (outcome.ok()) {
      CHECK(check_restored(target).ok());
      break;
    }
    CHECK(outcome.code == Code::stopped);
    if (fs::exists(target)) {
      ++unfinished;
      CHECK(check_restored(target).detail.find("was not finished") != std::string::npos);
      CHECK(restore(fixture.path_of("one"), target, {}, restored).code == Code::not_empty);
    }
  }
  CHECK(unfinished > 10);
}

TEST_CASE("a backup that fails, wherever, leaves nothing behind") {
  const BackupFixture fixture;
  Manifest made;
  SUBCASE("the disk is full in the middle of the checkpoint") {
    CreateOptions options = fixture.options("one");
    options.checkpoint = [](const std::string& to) -> storage::Status {
      fs::create_directory(to);
      write_all(to + "/000001.sst", "half");
      return {storage::StatusCode::full, "no space left"};
    };
    const Outcome outcome = create(options, {}, made);
    CHECK(outcome.code == Code::full);
    CHECK(outcome.detail == "no space left");
    CHECK(fs::is_empty(fixture.directory.path + "/backups"));
  }
  SUBCASE("the program ends") {
    bool done = false;
    for (int allowed = 0; !done; ++allowed) {
      int pieces = 0;
      Attention attention;
      attention.stop = [&] { return pieces++ >= allowed; };
      const Outcome outcome = create(fixture.options("one"), attention, made);
      done = outcome.ok();
      if (!done) {
        CHECK(outcome.code == Code::stopped);
        CHECK(fs::is_empty(fixture.directory.path + "/backups"));
      }
    }
    CHECK(verify(fixture.path_of("one"), {}).outcome.ok());
  }
}

TEST_CASE("a backup on another file system is a copy and as good") {
  if (!fs::is_directory("/dev/shm")) {
    return;
  }
  const BackupFixture fixture;
  CreateOptions options = fixture.options("one");
  options.directory = "/dev/shm/skerry-backup-test-" + std::to_string(::getpid());
  Manifest made;
  const Outcome outcome = create(options, {}, made);
  const Verified verified = verify(options.directory + "/one", {});
  fs::remove_all(options.directory);
  CHECK(outcome.detail == "");
  CHECK(verified.outcome.detail == "");
  CHECK(records_of(made, "messages") == 2000);
}
