// What only the store on disk can show: locks, formats, damage, checkpoints and readers that stay.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <mutex>

#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;

namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

Status try_open(const std::string& directory) {
  OpenedStore opened = open_rocks_store(small_options(directory));
  CHECK((opened.store != nullptr) == opened.status.ok());
  return std::move(opened.status);
}

void overwrite(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

/// The first file in `directory` whose name begins so, or has such an extension.
fs::path file_like(const std::string& directory, const std::string& part) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (contains(entry.path().filename().string(), part)) {
      return entry.path();
    }
  }
  FAIL("no file like " << part);
  return {};
}

}  // namespace

TEST_CASE("child: holds a store open" * doctest::skip()) {
  if (child_argument() == nullptr) {
    return;
  }
  const auto store = open_rocks(child_argument());
  child_send("open");
  child_wait();
}

TEST_CASE("a store is created for its owner alone") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/some/where";
  open_rocks(path);
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0700);
}

TEST_CASE("a second opening is refused with a sentence that says why") {
  const TemporaryDirectory directory;
  SUBCASE("in this process") {
    const auto store = open_rocks(directory.path());
    const Status status = try_open(directory.path());
    CHECK(status.code == StatusCode::io_error);
    CHECK(contains(status.detail, "already open in this process"));
  }
  SUBCASE("by another process") {
    ChildProcess holder("child: holds a store open", directory.path());
    std::string line;
    REQUIRE(holder.read_line(line));
    REQUIRE(line == "open");
    const Status status = try_open(directory.path());
    CHECK(status.code == StatusCode::io_error);
    CHECK(contains(status.detail, "in use by another process"));
    holder.kill_now();
    CHECK(try_open(directory.path()).ok());
  }
}

TEST_CASE("a newer format is refused and left alone") {
  const TemporaryDirectory directory;
  REQUIRE(put_one(*open_rocks(directory.path()), Family::meta, "format_version", "2").ok());
  const Status status = try_open(directory.path());
  CHECK(status.code == StatusCode::unsupported);
  CHECK(contains(status.detail, "has format version 2, but this program reads versions up to 1"));
  CHECK(try_open(directory.path()).code == StatusCode::unsupported);
}

TEST_CASE("an unreadable format version is corruption") {
  const TemporaryDirectory directory;
  REQUIRE(put_one(*open_rocks(directory.path()), Family::meta, "format_version", "1x").ok());
  CHECK(try_open(directory.path()).code == StatusCode::corruption);
}

TEST_CASE("damaged files are reported as corruption, never by an abort") {
  const TemporaryDirectory directory;
  {
    const auto store = open_rocks(directory.path());
    REQUIRE(put_one(*store, Family::messages, "m", std::string(1000, 'x')).ok());
    REQUIRE(store->reopen().ok());  // Moves the record from the log to a file.
  }
  SUBCASE("CURRENT is garbage") {
    overwrite(directory.path() + "/CURRENT", "garbage\n");
  }
  SUBCASE("CURRENT is empty") {
    overwrite(directory.path() + "/CURRENT", "");
  }
  SUBCASE("CURRENT is missing") {
    fs::remove(directory.path() + "/CURRENT");
  }
  SUBCASE("the manifest is garbage") {
    overwrite(file_like(directory.path(), "MANIFEST-"), std::string(500, 'g'));
  }
  SUBCASE("the manifest is missing") {
    fs::remove(file_like(directory.path(), "MANIFEST-"));
  }
  SUBCASE("a table is missing") {
    fs::remove(file_like(directory.path(), ".sst"));
  }
  SUBCASE("a table is cut") {
    fs::resize_file(file_like(directory.path(), ".sst"), 20);
  }
  const Status status = try_open(directory.path());
  CHECK(status.code == StatusCode::corruption);
  CHECK_FALSE(status.detail.empty());
}

TEST_CASE("a log that ends inside a record gives what was before it") {
  const TemporaryDirectory directory;
  {
    const auto store = open_rocks(directory.path());
    REQUIRE(put_one(*store, Family::messages, "1", std::string(1000, 'x')).ok());
    REQUIRE(put_one(*store, Family::messages, "2", std::string(1000, 'x')).ok());
  }
  const fs::path log = file_like(directory.path(), ".log");
  fs::resize_file(log, fs::file_size(log) - 500);
  const auto store = open_rocks(directory.path());
  CHECK(contents(*store, Family::messages).size() == 1);
}

TEST_CASE("a checkpoint is a store of its own") {
  const TemporaryDirectory directory;
  const std::string copy = directory.path() + "/copy";
  const auto store = open_rocks(directory.path() + "/store");
  REQUIRE(put_one(*store, Family::retained, "topic", "before").ok());
  REQUIRE(store->checkpoint(copy).ok());
  REQUIRE(put_one(*store, Family::retained, "topic", "after").ok());
  CHECK_FALSE(store->checkpoint(copy).ok());
  const auto other = open_rocks(copy);
  CHECK(value_of(*other, Family::retained, "topic") == "before");
  CHECK(store->size_bytes() > 0);
}

TEST_CASE("readers keep the old state readable while a reopening waits for them") {
  const TemporaryDirectory directory;
  const auto store = open_rocks(directory.path());
  REQUIRE(put_one(*store, Family::retained, "topic", "text").ok());
  auto iterator = store->scan(Family::retained, {});
  auto snapshot = store->snapshot();

  CHECK(store->reopen().code == StatusCode::closed);
  std::string value;
  CHECK(store->get(Family::retained, "topic", value).code == StatusCode::closed);
  CHECK(store->scan(Family::retained, {}) == nullptr);
  CHECK(store->snapshot() == nullptr);
  CHECK(put_one(*store, Family::retained, "topic", "lost").code == StatusCode::closed);
  CHECK(value_of(*store, Family::retained, "topic", snapshot.get()) == "text");
  iterator->seek_first();
  CHECK(iterator->value() == "text");

  iterator.reset();
  CHECK(store->reopen().code == StatusCode::closed);
  snapshot.reset();
  CHECK(store->reopen().ok());
  CHECK(value_of(*store, Family::retained, "topic") == "text");
}
