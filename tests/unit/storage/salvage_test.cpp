// Every kind of file of a store is damaged or taken away; the store opens, what was intact is
// there, and the report says what was found.
#include "storage/salvage.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;
namespace fs = std::filesystem;

namespace {

struct Damaged {
  TemporaryDirectory place;
  std::string store = place.path() + "/store";
  std::string quarantine = place.path() + "/quarantine/1";

  SalvageOptions options() const { return {small_options(store), quarantine}; }

  std::vector<fs::path> files(const std::string& start, const std::string& extension) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(store)) {
      if (entry.path().filename().string().starts_with(start) &&
          entry.path().extension() == extension) {
        found.push_back(entry.path());
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }
};

std::string key_of(int number) {
  char text[16];
  std::snprintf(text, sizeof text, "key%06d", number);
  return text;
}

/// `count` records in a family, in tables when `flushed`, then `logged` more in the log.
void fill(const Damaged& damaged, Family family, int count, int logged) {
  {
    const auto store = open_rocks(damaged.store);
    Batch batch;
    for (int i = 0; i < count; ++i) {
      batch.put(family, key_of(i), "value " + std::to_string(i) + std::string(200, '.'));
    }
    batch.put(Family::registry, "device", "enrolled");
    REQUIRE(store->write(batch, true).ok());
    REQUIRE(store->compact(family, {}).ok());
    REQUIRE(store->compact(Family::registry, {}).ok());
  }
  if (logged > 0) {
    const auto store = open_rocks(damaged.store);
    for (int i = count; i < count + logged; ++i) {
      REQUIRE(put_one(*store, family, key_of(i), "value " + std::to_string(i)).ok());
    }
  }
}

void change_byte(const fs::path& file, std::size_t at) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(stream.get() ^ 0x55);
  stream.seekp(static_cast<std::streamoff>(at));
  stream.put(byte);
  REQUIRE(stream.good());
}

/// The largest table, which is that of the family that was filled.
fs::path largest(const std::vector<fs::path>& files) {
  REQUIRE_FALSE(files.empty());
  return *std::max_element(files.begin(), files.end(), [](const auto& left, const auto& right) {
    return fs::file_size(left) < fs::file_size(right);
  });
}

bool tells(const SalvageReport& report, const std::string& part) {
  return std::any_of(
      report.findings.begin(), report.findings.end(),
      [&](const std::string& finding) { return finding.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a whole store opens without a report, and a new one is made") {
  Damaged damaged;
  CHECK(open_or_salvage(damaged.options()).opened.status.ok());
  fill(damaged, Family::sessions, 100, 10);
  const SalvagedStore salvaged = open_or_salvage(damaged.options());
  REQUIRE(salvaged.opened.status.ok());
  CHECK_FALSE(salvaged.report.damaged());
  CHECK(contents(*salvaged.opened.store, Family::sessions).size() == 110);
  CHECK_FALSE(fs::exists(damaged.quarantine));
}

TEST_CASE("a log that ends within a record is no damage") {
  Damaged damaged;
  fill(damaged, Family::sessions, 10, 20);
  const fs::path log = damaged.files("", ".log").back();
  fs::resize_file(log, fs::file_size(log) - 5);
  const SalvagedStore salvaged = open_or_salvage(damaged.options());
  REQUIRE(salvaged.opened.status.ok());
  CHECK_FALSE(salvaged.report.damaged());
  CHECK(contents(*salvaged.opened.store, Family::sessions).size() == 29);
}

TEST_CASE("a log that is damaged in the middle loses that block, not what follows") {
  Damaged damaged;
  fill(damaged, Family::sessions, 10, 3'000);
  const fs::path log = damaged.files("", ".log").back();
  const auto size = fs::file_size(log);
  REQUIRE(size > 100'000);
  change_byte(log, 40'000);
  const SalvagedStore salvaged = open_or_salvage(damaged.options());
  REQUIRE(salvaged.opened.status.ok());
  CHECK(salvaged.report.identity_in_doubt);
  CHECK(tells(salvaged.report, "is damaged from byte"));
  CHECK(fs::exists(fs::path(damaged.quarantine) / log.filename()));
  const auto left = contents(*salvaged.opened.store, Family::sessions);
  CHECK(left.size() > 2'000);
  CHECK(left.size() < 3'010);
  CHECK(left.back().first == key_of(3'009));
  CHECK(value_of(*salvaged.opened.store, Family::sessions, key_of(0)).starts_with("value 0"));
}

TEST_CASE("a damaged block of a table costs the records in it") {
  Damaged damaged;
  fill(damaged, Family::sessions, 5'000, 0);
  const fs::path table = largest(damaged.files("", ".sst"));
  change_byte(table, fs::file_size(table) / 2);
  SalvageOptions options = damaged.options();
  options.thorough = true;
  const SalvagedStore salvaged = open_or_salvage(options);
  REQUIRE(salvaged.opened.status.ok());
  const auto left = contents(*salvaged.opened.store, Family::sessions);
  CHECK(left.size() > 4'900);
  CHECK(left.size() < 5'000);
  CHECK(left.front().first == key_of(0));
  CHECK(left.back().first == key_of(4'999));
  CHECK(value_of(*salvaged.opened.store, Family::registry, "device") == "enrolled");
  CHECK(tells(salvaged.report, "of the family sessions"));
  CHECK_FALSE(salvaged.report.identity_in_doubt);
  CHECK(fs::exists(fs::path(damaged.quarantine) / "store" / table.filename()));
  // It is a store like any other from now on.
  CHECK(put_one(*salvaged.opened.store, Family::sessions, "new", "1").ok());
}

TEST_CASE("two damaged blocks leave what is between them") {
  Damaged damaged;
  fill(damaged, Family::sessions, 20'000, 0);
  const fs::path table = largest(damaged.files("", ".sst"));
  change_byte(table, fs::file_size(table) / 4);
  change_byte(table, fs::file_size(table) / 4 * 3);
  SalvageOptions options = damaged.options();
  options.thorough = true;
  const SalvagedStore salvaged = open_or_salvage(options);
  REQUIRE(salvaged.opened.status.ok());
  CHECK(contents(*salvaged.opened.store, Family::sessions).size() > 19'500);
}

TEST_CASE("without CURRENT the newest manifest is taken") {
  for (const char* content : {"", "MANIFEST-999999\n", "nonsense"}) {
    CAPTURE(content);
    Damaged damaged;
    fill(damaged, Family::sessions, 100, 10);
    fs::remove(damaged.store + "/CURRENT");
    if (*content != '\0') {
      std::ofstream(damaged.store + "/CURRENT") << content;
    }
    const SalvagedStore salvaged = open_or_salvage(damaged.options());
    REQUIRE(salvaged.opened.status.ok());
    CHECK(tells(salvaged.report, "CURRENT"));
    CHECK(contents(*salvaged.opened.store, Family::sessions).size() == 110);
    CHECK_FALSE(salvaged.report.identity_in_doubt);
  }
}

TEST_CASE("without a manifest, or with a damaged one, the tables and the log are read") {
  for (const bool removed : {true, false}) {
    CAPTURE(removed);
    Damaged damaged;
    fill(damaged, Family::sessions, 100, 10);
    const auto manifests = damaged.files("MANIFEST", "");
    REQUIRE_FALSE(manifests.empty());
    for (const fs::path& manifest : manifests) {
      if (removed) {
        fs::remove(manifest);
      } else {
        change_byte(manifest, 20);
      }
    }
    const SalvagedStore salvaged = open_or_salvage(damaged.options());
    REQUIRE(salvaged.opened.status.ok());
    CHECK(salvaged.report.damaged());
    CHECK(salvaged.report.identity_in_doubt);
    CHECK(contents(*salvaged.opened.store, Family::sessions).size() == 110);
    CHECK(value_of(*salvaged.opened.store, Family::registry, "device") == "enrolled");
    CHECK(fs::exists(fs::path(damaged.quarantine) / "store"));
  }
}

TEST_CASE("a missing table costs its family at most, and identity nothing that is older") {
  Damaged damaged;
  fill(damaged, Family::sessions, 5'000, 10);
  const fs::path table = largest(damaged.files("", ".sst"));
  fs::remove(table);
  const SalvagedStore salvaged = open_or_salvage(damaged.options());
  REQUIRE(salvaged.opened.status.ok());
  CHECK(tells(salvaged.report, table.filename().string()));
  CHECK(value_of(*salvaged.opened.store, Family::registry, "device") == "enrolled");
  CHECK(value_of(*salvaged.opened.store, Family::sessions, key_of(5'005)) == "value 5005");
}

TEST_CASE("what only the log has of a family is kept when its table cannot be opened") {
  for (const bool with_manifest : {true, false}) {
    CAPTURE(with_manifest);
    Damaged damaged;
    fill(damaged, Family::messages, 5'000, 10);
    const fs::path table = largest(damaged.files("", ".sst"));
    fs::resize_file(table, fs::file_size(table) - 100);
    if (!with_manifest) {
      for (const fs::path& manifest : damaged.files("MANIFEST", "")) {
        fs::remove(manifest);
      }
    }
    const SalvagedStore salvaged = open_or_salvage(damaged.options());
    REQUIRE(salvaged.opened.status.ok());
    CHECK(value_of(*salvaged.opened.store, Family::messages, key_of(5'005)) == "value 5005");
    CHECK(contents(*salvaged.opened.store, Family::messages).size() == 10);
    CHECK(value_of(*salvaged.opened.store, Family::registry, "device") == "enrolled");
  }
}

TEST_CASE("an older version of a device does not come back when the newer one is lost") {
  Damaged damaged;
  {
    const auto store = open_rocks(damaged.store);
    REQUIRE(put_one(*store, Family::registry, "device", "enrolled").ok());
    REQUIRE(store->compact(Family::registry, {}).ok());
    REQUIRE(put_one(*store, Family::sessions, "s", "1").ok());
  }
  { const auto store = open_rocks(damaged.store); }  // the log goes into tables
  std::vector<fs::path> older = damaged.files("", ".sst");
  {
    const auto store = open_rocks(damaged.store);
    REQUIRE(put_one(*store, Family::registry, "device", "suspended").ok());
  }
  { const auto store = open_rocks(damaged.store); }  // the log goes into a table
  std::vector<fs::path> all = damaged.files("", ".sst");
  std::erase_if(all, [&](const fs::path& file) {
    return std::find(older.begin(), older.end(), file) != older.end();
  });
  REQUIRE(all.size() == 1);
  fs::remove(all.front());
  const SalvagedStore salvaged = open_or_salvage(damaged.options());
  REQUIRE(salvaged.opened.status.ok());
  CHECK(value_of(*salvaged.opened.store, Family::registry, "device") == "<not found>");
  CHECK(salvaged.report.identity_in_doubt);
  CHECK(value_of(*salvaged.opened.store, Family::sessions, "s") == "1");
}

TEST_CASE("a crash between the two renames is made good at the next start") {
  Damaged damaged;
  fill(damaged, Family::sessions, 100, 0);
  fs::rename(damaged.store, damaged.store + ".salvaging");
  std::ofstream(damaged.store + ".salvaging/COMPLETE") << "1\n";
  SalvagedStore salvaged = open_or_salvage(damaged.options());
  REQUIRE(salvaged.opened.status.ok());
  CHECK(contents(*salvaged.opened.store, Family::sessions).size() == 100);
  salvaged.opened.store.reset();
  fs::create_directory(damaged.store + ".salvaging");  // a copy that was never whole
  salvaged = open_or_salvage(damaged.options());
  REQUIRE(salvaged.opened.status.ok());
  CHECK(contents(*salvaged.opened.store, Family::sessions).size() == 100);
  CHECK_FALSE(fs::exists(damaged.store + ".salvaging"));
}
