// A small data directory with a store and an authority, and backups of it.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "backup/create.hpp"
#include "backup/restore.hpp"
#include "backup/verify.hpp"
#include "storage/kv_store.hpp"

namespace skerry::backup::test {

inline constexpr WallTime time_of_test{Milliseconds{1'800'000'000'123}};

/// Removed with all it holds.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string path;
};

struct BackupFixture {
  BackupFixture();

  /// Writes `count` records to a family, synced unless told otherwise.
  void put(storage::Family family, const std::string& prefix, int count, bool sync = true) const;

  CreateOptions options(const std::string& name) const;
  Outcome make(const std::string& name, Manifest& made) const;
  std::string path_of(const std::string& name) const { return directory.path + "/backups/" + name; }

  TemporaryDirectory directory;
  std::string data_dir = directory.path + "/data";
  std::unique_ptr<storage::KvStore> store;
};

std::string read_all(const std::string& path);
void write_all(const std::string& path, const std::string& text);

/// Changes one bit in the middle.
void damage(const std::string& path);

}  // namespace skerry::backup::test
