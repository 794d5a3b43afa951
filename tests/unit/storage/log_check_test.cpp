// Telling a log that was cut off from one that is damaged, on logs that the engine wrote.
#include "storage/log_check.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "unit/storage/storage_fixture.hpp"

using namespace skerry::storage;
using namespace skerry::storage::test;

namespace {

/// The log of a store with `count` records of `bytes` bytes, and the records' end.
std::string log_of(int count, std::size_t bytes) {
  const TemporaryDirectory directory;
  const auto store = open_rocks(directory.path());
  for (int i = 0; i < count; ++i) {
    REQUIRE(put_one(*store, Family::sessions, "key" + std::to_string(i),
                    std::string(bytes, static_cast<char>('a' + i % 26)))
                .ok());
  }
  std::string newest;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    if (entry.path().extension() == ".log" && entry.path().string() > newest) {
      newest = entry.path().string();
    }
  }
  std::ifstream file(newest, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), {}};
  while (!content.empty() && content.back() == '\0') {
    content.pop_back();
  }
  return content;
}

using State = LogCheck::State;

}  // namespace

TEST_CASE("the checksum is CRC-32C") {
  CHECK(crc32c("123456789") == 0xe3069283u);
  CHECK(crc32c("") == 0u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);  // RFC 3720 appendix B.4
}

TEST_CASE("a log that the engine wrote is whole, also across blocks") {
  CHECK(check_log(log_of(20, 100)).state == State::whole);
  CHECK(check_log(log_of(20, 20'000)).state == State::whole);
  CHECK(check_log("").state == State::whole);
}

TEST_CASE("a log that is cut off anywhere is torn or whole, never damaged") {
  const std::string log = log_of(5, 60);
  for (std::size_t size = 0; size < log.size(); ++size) {
    CAPTURE(size);
    CHECK(check_log(std::string_view(log).substr(0, size)).state != State::damaged);
  }
  const std::string blocks = log_of(10, 20'000);
  for (std::size_t size = 0; size < blocks.size(); size += 997) {
    CAPTURE(size);
    CHECK(check_log(std::string_view(blocks).substr(0, size)).state != State::damaged);
  }
}

TEST_CASE("space that was never written behind the records is a torn end") {
  std::string log = log_of(5, 60);
  log.append(100'000, '\0');
  CHECK(check_log(log).state == State::torn);
}

TEST_CASE("a changed byte anywhere is damage") {
  const std::string log = log_of(6, 60);
  for (std::size_t at = 0; at < log.size(); ++at) {
    std::string changed = log;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    CAPTURE(at);
    const LogCheck check = check_log(changed);
    CHECK(check.state != State::whole);
    // The length of a record may then point behind the end, as that of a record that was cut off.
    CHECK((check.state == State::damaged || check.state == State::torn));
  }
}

TEST_CASE("records in later blocks are known to be readable behind the damage") {
  std::string log = log_of(10, 20'000);
  log[30'000] = static_cast<char>(log[30'000] ^ 1);
  const LogCheck check = check_log(log);
  CHECK(check.state == State::damaged);
  CHECK(check.readable_behind);
  CHECK(check.first_damage < 30'000);
  std::string hole = log_of(10, 20'000);
  hole.replace(65'536, 32'768, std::string(32'768, '\0'));
  CHECK(check_log(hole).state == State::damaged);
  CHECK(check_log(hole).first_damage == 65'536);
}
