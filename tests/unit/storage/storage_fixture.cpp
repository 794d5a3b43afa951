// The helpers of the storage tests.
#include "unit/storage/storage_fixture.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace skerry::storage::test {

namespace {
constexpr const char* argument_name = "SKERRY_TEST_CHILD_ARGUMENT";
constexpr int child_pipe = 3;
}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "skerry-test-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

RocksOptions small_options(const std::string& directory) {
  RocksOptions options;
  options.directory = directory;
  options.write_buffer_bytes = 1024 * 1024;
  options.block_cache_bytes = 1024 * 1024;
  options.reopen_wait = std::chrono::milliseconds{0};
  return options;
}

std::unique_ptr<KvStore> open_rocks(const std::string& directory) {
  OpenedStore opened = open_rocks_store(small_options(directory));
  REQUIRE_MESSAGE(opened.status.ok(), opened.status.detail);
  return std::move(opened.store);
}

std::vector<std::pair<std::string, std::string>> contents(const KvStore& store, Family family,
                                                          KeyRange range,
                                                          const Snapshot* snapshot) {
  std::vector<std::pair<std::string, std::string>> result;
  const auto iterator = store.scan(family, std::move(range), snapshot);
  REQUIRE(iterator != nullptr);
  for (iterator->seek_first(); iterator->valid(); iterator->next()) {
    result.emplace_back(iterator->key(), iterator->value());
  }
  CHECK(iterator->status().ok());
  return result;
}

std::string value_of(const KvStore& store, Family family, std::string_view key,
                     const Snapshot* snapshot) {
  std::string value = "<untouched>";
  const Status status = store.get(family, key, value, snapshot);
  if (status.code == StatusCode::not_found) {
    CHECK(value == "<untouched>");
    return "<not found>";
  }
  return status.ok() ? value : "<" + status.detail + ">";
}

Status put_one(KvStore& store, Family family, std::string_view key, std::string_view value,
               bool sync) {
  Batch batch;
  batch.put(family, key, value);
  return store.write(batch, sync);
}

ChildProcess::ChildProcess(const std::string& test_case, const std::string& argument) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  REQUIRE(::posix_spawn_file_actions_init(&actions) == 0);
  // A duplicate onto the same number would keep O_CLOEXEC.
  const int writing = ::fcntl(ends[1], F_DUPFD_CLOEXEC, child_pipe + 1);
  REQUIRE(::posix_spawn_file_actions_adddup2(&actions, writing, child_pipe) == 0);
  std::vector<std::string> words = {"/proc/self/exe", "--no-skip", "--minimal",
                                    "--test-case=" + test_case};
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  ::setenv(argument_name, argument.c_str(), 1);
  const int spawned =
      ::posix_spawn(&process_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::unsetenv(argument_name);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  ::close(writing);
  pipe_ = ends[0];
  REQUIRE(spawned == 0);
}

ChildProcess::~ChildProcess() {
  kill_now();
  ::close(pipe_);
}

bool ChildProcess::read_line(std::string& line) {
  for (;;) {
    if (const auto end = buffer_.find('\n'); end != std::string::npos) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return true;
    }
    char block[4096];
    const ssize_t count = ::read(pipe_, block, sizeof block);
    if (count <= 0) {
      return false;
    }
    buffer_.append(block, static_cast<std::size_t>(count));
  }
}

void ChildProcess::kill_now() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }
}

const char* child_argument() {
  return std::getenv(argument_name);
}

void child_send(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(child_pipe, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    ::_exit(1);
  }
}

void child_wait() {
  for (;;) {
    ::pause();
  }
}

}  // namespace skerry::storage::test
