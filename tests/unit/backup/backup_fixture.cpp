#include "unit/backup/backup_fixture.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

namespace skerry::backup::test {

namespace {

std::string make_temporary() {
  std::string form = (std::filesystem::temp_directory_path() / "skerry-backup-XXXXXX").string();
  REQUIRE(::mkdtemp(form.data()) != nullptr);
  return form;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() : path(make_temporary()) {}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path, error);
}

BackupFixture::BackupFixture() {
  std::filesystem::create_directories(data_dir + "/ca");
  write_all(data_dir + "/ca/root.key", "a secret");
  write_all(data_dir + "/ca/root.crt", "no secret");
  storage::RocksOptions rocks;
  rocks.directory = data_dir + "/store";
  rocks.write_buffer_bytes = 64 * 1024;
  store = storage::open_rocks_store(rocks).store;
  REQUIRE(store != nullptr);
  put(storage::Family::messages, "m", 2000);
  put(storage::Family::retained, "r", 300);
  put(storage::Family::registry, "d", 20);
}

void BackupFixture::put(storage::Family family, const std::string& prefix, int count,
                        bool sync) const {
  storage::Batch batch;
  for (int number = 0; number < count; ++number) {
    const std::string text = std::to_string(number);
    batch.put(family, prefix + text, "value " + text + std::string(100, 'x'));
  }
  REQUIRE(store->write(batch, sync).ok());
}

CreateOptions BackupFixture::options(const std::string& name) const {
  return {data_dir,     directory.path + "/backups",
          name,         "0.1.0",
          time_of_test, [this](const std::string& to) { return store->checkpoint(to); }};
}

Outcome BackupFixture::make(const std::string& name, Manifest& made) const {
  return create(options(name), {}, made);
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file.good(), path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_all(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  REQUIRE_MESSAGE(file.good(), path);
}

void damage(const std::string& path) {
  // A new file, since the store may share the old one.
  std::string text = read_all(path);
  REQUIRE(!text.empty());
  text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 0x10);
  std::filesystem::remove(path);
  write_all(path, text);
}

}  // namespace skerry::backup::test
