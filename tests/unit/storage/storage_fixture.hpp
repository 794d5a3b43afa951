// What the storage tests share: a directory that goes away, a store of either kind under one name,
// and child processes made from the test program itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/kv_store.hpp"

namespace skerry::storage::test {

/// A new directory below the system's temporary one; removed with all it holds at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// Options of a small RocksStore below `directory`.
RocksOptions small_options(const std::string& directory);

/// Opens a RocksStore that must open.
std::unique_ptr<KvStore> open_rocks(const std::string& directory);

/// Everything in a range, first to last.
std::vector<std::pair<std::string, std::string>> contents(const KvStore& store, Family family,
                                                          KeyRange range = {},
                                                          const Snapshot* snapshot = nullptr);

/// The value of a key; "<code>" in angle brackets when there is none to be had.
std::string value_of(const KvStore& store, Family family, std::string_view key,
                     const Snapshot* snapshot = nullptr);

/// Writes one pair.
Status put_one(KvStore& store, Family family, std::string_view key, std::string_view value,
               bool sync = true);

/// Another process that runs one test case of this program, which is skipped otherwise. The child
/// finds `argument` with child_argument() and writes to the parent through child_pipe().
class ChildProcess {
 public:
  ChildProcess(const std::string& test_case, const std::string& argument);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Reads one line; false at the end. Blocks.
  bool read_line(std::string& line);
  /// Ends the child as a power cut would end the program.
  void kill_now();

 private:
  int process_ = -1;
  int pipe_ = -1;
  std::string buffer_;
};

/// nullptr outside of a child.
const char* child_argument();
/// Sends one line to the parent.
void child_send(const std::string& line);
/// Waits until the parent ends this process.
[[noreturn]] void child_wait();

}  // namespace skerry::storage::test
