// Store and forward on a simulated clock: order, once, bounds, crashes, torn tails, clocks.
#include "device/spool.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <random>

#include "device/limits.hpp"
#include "unit/device/scratch.hpp"

using namespace skerry;
using namespace skerry::agent;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t start = 1'732'536'000'000;

SpoolTime at(Milliseconds passed) {
  return {wall_from_epoch(start) + passed, 60s + passed};
}

BootId boot_of(char c) {
  BootId boot{};
  boot.fill(c);
  return boot;
}

SpoolOptions options_in(const Scratch& scratch, std::size_t bytes_max = 16 * 1024 * 1024) {
  SpoolOptions options;
  options.directory = scratch.path("spool");
  options.boot = boot_of('1');
  options.bytes_max = bytes_max;
  return options;
}

/// Sends all there is, as the agent does: the bodies in the order in which they would leave.
std::vector<std::string> drain(Spool& spool, SpoolTime now, std::size_t records = 7) {
  std::vector<std::string> sent;
  while (const auto urgency = spool.next()) {
    SpoolQueue& queue = spool.queue(*urgency);
    const auto entries = queue.peek({records, batch_bytes_max}, now);
    if (entries.empty()) {
      continue;
    }
    for (const SpoolEntry& entry : entries) {
      sent.push_back(entry.body);
    }
    queue.finish(entries.back().sequence);
  }
  return sent;
}

std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> texts;
  for (int number = from; number < to; ++number) {
    texts.push_back(std::to_string(number));
  }
  return texts;
}

void fill(Spool& spool, int from, int to, std::size_t padding = 0) {
  for (int number = from; number < to; ++number) {
    std::string body = std::to_string(number);
    body.resize(std::max(body.size(), padding), ' ');
    REQUIRE(spool.append(Urgency::telemetry, body, at(Milliseconds{number})));
  }
}

std::string last_segment(const Scratch& scratch, const std::string& queue) {
  std::string found;
  for (const std::string& name : scratch.names("spool/" + queue)) {
    found = name.ends_with(".seg") ? name : found;
  }
  return "spool/" + queue + "/" + found;
}

TEST_CASE("alarms leave before telemetry, each in its order") {
  const Scratch scratch;
  Spool spool{options_in(scratch)};
  fill(spool, 0, 20);
  CHECK(spool.append(Urgency::alarm, "first alarm", at(1s)));
  CHECK(spool.append(Urgency::alarm, "second alarm", at(2s)));
  auto expected = numbers(0, 20);
  expected.insert(expected.begin(), {"first alarm", "second alarm"});
  CHECK(drain(spool, at(3s)) == expected);
  CHECK_FALSE(spool.next());
}

TEST_CASE("three days offline leave in order and once, over restarts of agent and machine") {
  const Scratch scratch;
  SpoolOptions options = options_in(scratch, 64 * 1024 * 1024);
  options.age_max = 100h;
  auto spool = std::make_unique<Spool>(options);
  const int count = 3 * 24 * 360;  // every ten seconds
  for (int number = 0; number < count; ++number) {
    REQUIRE(spool->append(Urgency::telemetry, std::to_string(number), at(10s * number)));
    if (number % 3000 == 1234) {
      spool.reset();
      options.boot = boot_of(static_cast<char>('1' + number / 3000));
      spool = std::make_unique<Spool>(options);
    }
  }
  CHECK(spool->queue(Urgency::telemetry).pending() == static_cast<std::uint64_t>(count));
  std::vector<std::string> sent;
  while (spool->next()) {
    auto part = spool->queue(Urgency::telemetry).peek({100, batch_bytes_max}, at(72h));
    REQUIRE_FALSE(part.empty());
    for (const SpoolEntry& entry : part) {
      CHECK(entry.time == wall_from_epoch(start) + 10s * std::stoi(entry.body));
      sent.push_back(entry.body);
    }
    spool->queue(Urgency::telemetry).finish(part.back().sequence);
    if (sent.size() % 5000 == 0) {
      spool.reset();
      spool = std::make_unique<Spool>(options);
    }
  }
  CHECK(sent == numbers(0, count));
  CHECK(spool->queue(Urgency::telemetry).losses().total() == 0);
  CHECK(spool->bytes() <= segment_bytes_max);
}

TEST_CASE("what was shown and not finished is shown again, in this life and the next") {
  const Scratch scratch;
  {
    Spool spool{options_in(scratch)};
    fill(spool, 0, 10);
    CHECK(spool.queue(Urgency::telemetry).peek({3, 1000}, at(1s)).size() == 3);
    const auto again = spool.queue(Urgency::telemetry).peek({3, 1000}, at(1s));
    CHECK(again.front().body == "0");
    spool.queue(Urgency::telemetry).finish(again[1].sequence);
  }
  Spool spool{options_in(scratch)};
  CHECK(drain(spool, at(2s)) == numbers(2, 10));
}

TEST_CASE("a batch keeps to its bytes, and one record that is larger goes alone") {
  const Scratch scratch;
  Spool spool{options_in(scratch)};
  for (const std::size_t size : {400, 700, 2000, 10}) {
    CHECK(spool.append(Urgency::telemetry, std::string(size, 'x'), at(0s)));
  }
  SpoolQueue& queue = spool.queue(Urgency::telemetry);
  std::vector<std::size_t> sizes;
  while (queue.pending() > 0) {
    const auto entries = queue.peek({10, 1000}, at(0s));
    sizes.push_back(entries.size());
    queue.finish(entries.back().sequence);
  }
  CHECK(sizes == std::vector<std::size_t>{1, 1, 1, 1});
}

TEST_CASE("a full spool gives up the oldest telemetry, counts it, and keeps every alarm") {
  const Scratch scratch;
  Spool spool{options_in(scratch, 1024 * 1024)};
  const int count = 4000;
  for (int number = 0; number < 100; ++number) {
    REQUIRE(spool.append(Urgency::alarm, "alarm " + std::to_string(number), at(1s)));
  }
  fill(spool, 0, count, 1000);
  CHECK(spool.bytes() <= 1024 * 1024);
  const std::uint64_t lost = spool.queue(Urgency::telemetry).losses().size;
  CHECK(lost > 2900);
  CHECK(spool.queue(Urgency::telemetry).pending() + lost == count);
  const auto sent = drain(spool, at(5s));
  REQUIRE(sent.size() == 100 + count - lost);
  CHECK(sent[99] == "alarm 99");
  for (std::size_t index = 100; index < sent.size(); ++index) {
    CHECK(std::stoul(sent[index]) == lost + index - 100);
  }
  Spool later{options_in(scratch, 1024 * 1024)};
  CHECK(later.queue(Urgency::telemetry).losses().size == lost);
}

TEST_CASE("a spool full of alarms gives up telemetry first, then the oldest alarms") {
  const Scratch scratch;
  Spool spool{options_in(scratch, 1024 * 1024)};
  const SpoolQueue& alarms = spool.queue(Urgency::alarm);
  fill(spool, 0, 10, 1000);
  for (int number = 0; number < 60; ++number) {
    REQUIRE(spool.append(Urgency::alarm, std::string(30'000, 'a'), at(1s)));
  }
  CHECK(spool.queue(Urgency::telemetry).losses().size == 10);
  CHECK(alarms.losses().size > 20);
  const std::uint64_t before = alarms.pending();
  for (int number = 0; number < 200; ++number) {
    spool.append(Urgency::telemetry, std::string(1000, 't'), at(2s));
  }
  CHECK(alarms.pending() == before);
  CHECK(spool.bytes() <= 1024 * 1024);
}

TEST_CASE("telemetry that alarms leave no room for is not taken, and counted") {
  const Scratch scratch;
  Spool spool{options_in(scratch, 10'000)};
  CHECK(spool.append(Urgency::alarm, std::string(9'000, 'a'), at(1s)));
  CHECK_FALSE(spool.append(Urgency::telemetry, std::string(2'000, 't'), at(1s)));
  CHECK(spool.not_taken() == 1);
  CHECK(spool.queue(Urgency::alarm).pending() == 1);
  CHECK_FALSE(spool.append(Urgency::alarm, std::string(record_bytes_max + 1, 'a'), at(1s)));
}

TEST_CASE("what is given up while it is on its way, and then arrives, is not lost") {
  const Scratch scratch;
  Spool spool{options_in(scratch, 1024 * 1024)};
  SpoolQueue& queue = spool.queue(Urgency::telemetry);
  fill(spool, 0, 10, 1000);
  const auto entries = queue.peek({10, batch_bytes_max}, at(1s));
  REQUIRE(entries.size() == 10);
  fill(spool, 10, 1500, 1000);
  REQUIRE(queue.losses().size > 10);
  const std::uint64_t before = queue.losses().size;
  queue.finish(entries.back().sequence);
  CHECK(queue.losses().size == before - 10);
}

TEST_CASE("telemetry that is too old is given up and counted, alarms are not") {
  const Scratch scratch;
  SpoolOptions options = options_in(scratch);
  options.age_max = 1h;
  Spool spool{options};
  CHECK(spool.append(Urgency::alarm, "alarm", at(0s)));
  CHECK(spool.append(Urgency::telemetry, "old", at(0s)));
  CHECK(spool.append(Urgency::telemetry, "young", at(30min)));
  CHECK(drain(spool, at(61min)) == std::vector<std::string>{"alarm", "young"});
  CHECK(spool.queue(Urgency::telemetry).losses().age == 1);
}

TEST_CASE("a wall clock that jumps makes nothing old while the machine has not been restarted") {
  const Scratch scratch;
  SpoolOptions options = options_in(scratch);
  options.age_max = 1h;
  Spool spool{options};
  const SpoolTime before{wall_from_epoch(start), 60s};
  const SpoolTime after{wall_from_epoch(start) + 24h * 400, 120s};
  CHECK(spool.append(Urgency::telemetry, "reading", before));
  CHECK(drain(spool, after) == std::vector<std::string>{"reading"});
}

TEST_CASE("a clock that was not set: times come from the time since boot, or from nobody") {
  const Scratch scratch;
  SpoolOptions options = options_in(scratch);
  const SpoolTime unset{wall_from_epoch(5'000), 5s};
  const SpoolTime set{wall_from_epoch(start), 65s};
  {
    Spool spool{options};
    CHECK(spool.append(Urgency::telemetry, "reading", unset));
    const auto entries = spool.queue(Urgency::telemetry).peek({1, 100}, set);
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].time == wall_from_epoch(start) - 60s);
    CHECK_FALSE(spool.queue(Urgency::telemetry).peek({1, 100}, unset)[0].time);
  }
  options.boot = boot_of('2');
  Spool spool{options};
  const auto entries = spool.queue(Urgency::telemetry).peek({1, 100}, set);
  REQUIRE(entries.size() == 1);
  CHECK_FALSE(entries[0].time);
}

TEST_CASE("a tail torn at any byte costs the record that it cuts, and none before it") {
  const Scratch whole;
  {
    Spool spool{options_in(whole)};
    fill(spool, 0, 5, 10);
  }
  const std::string file = last_segment(whole, "telemetry");
  const std::string bytes = whole.read(file);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Scratch scratch;
    scratch.write(file, bytes.substr(0, size));
    Spool spool{options_in(scratch)};
    const auto complete = size < segment_header_bytes
                              ? 0
                              : (size - segment_header_bytes) / (10 + record_header_bytes);
    SpoolQueue& queue = spool.queue(Urgency::telemetry);
    REQUIRE(queue.pending() == complete);
    const bool clean = size >= segment_header_bytes &&
                       (size - segment_header_bytes) % (10 + record_header_bytes) == 0;
    CHECK(queue.torn_tails() == (clean ? 0 : 1));
    REQUIRE(spool.append(Urgency::telemetry, "new", at(1s)));
    const auto sent = drain(spool, at(2s));
    REQUIRE(sent.size() == complete + 1);
    CHECK(sent.back() == "new");
  }
}

TEST_CASE("a damaged record costs the rest of its segment, counted, and nothing else") {
  const Scratch scratch;
  const int count = 1000;
  {
    Spool spool{options_in(scratch, 1024 * 1024)};
    fill(spool, 0, count, 500);
  }
  const std::string first = "spool/telemetry/00000000000000000001.seg";
  std::string bytes = scratch.read(first);
  const auto per_segment = (bytes.size() - segment_header_bytes) / (500 + record_header_bytes);
  bytes[segment_header_bytes + 3 * (500 + record_header_bytes) + 40] ^= 1;
  scratch.write(first, bytes);
  Spool spool{options_in(scratch, 1024 * 1024)};
  const auto sent = drain(spool, at(5s));
  CHECK(sent.size() == count - (per_segment - 3));
  CHECK(std::stoul(sent[2]) == 2);
  CHECK(std::stoul(sent[3]) == per_segment);
  CHECK(spool.queue(Urgency::telemetry).losses().damage == per_segment - 3);
}

TEST_CASE("a segment that is damaged while the agent runs is found when it is read") {
  const Scratch scratch;
  Spool spool{options_in(scratch)};
  fill(spool, 0, 10, 100);
  std::string bytes = scratch.read(last_segment(scratch, "telemetry"));
  bytes[bytes.size() - 50] ^= 1;
  scratch.write(last_segment(scratch, "telemetry"), bytes);
  CHECK(drain(spool, at(1s)).size() == 9);
  CHECK(spool.queue(Urgency::telemetry).losses().damage == 1);
  fill(spool, 20, 30);
  CHECK(drain(spool, at(1s)) == numbers(20, 30));
}

TEST_CASE("without its position a queue sends once more what it still has, and goes on") {
  const Scratch scratch;
  {
    Spool spool{options_in(scratch)};
    fill(spool, 0, 10);
    const auto entries = spool.queue(Urgency::telemetry).peek({4, 1000}, at(1s));
    spool.queue(Urgency::telemetry).finish(entries.back().sequence);
  }
  std::filesystem::remove(scratch.path("spool/telemetry/position"));
  {
    Spool spool{options_in(scratch)};
    CHECK(drain(spool, at(2s)) == numbers(0, 10));
  }
  scratch.write("spool/telemetry/position", std::string(2000, 'z'));
  Spool spool{options_in(scratch)};
  fill(spool, 10, 12);
  CHECK(drain(spool, at(2s)) == numbers(10, 12));
}

TEST_CASE("files of others in the directory are passed over, wrong segments removed") {
  const Scratch scratch;
  {
    Spool spool{options_in(scratch)};
    fill(spool, 0, 3);
  }
  scratch.write("spool/telemetry/notes.txt", "mine");
  scratch.write("spool/telemetry/00000000000000000002.seg",
                scratch.read("spool/telemetry/00000000000000000001.seg"));
  scratch.write("spool/telemetry/99999999999999999999.seg", "nothing of ours");
  Spool spool{options_in(scratch)};
  CHECK(drain(spool, at(1s)) == numbers(0, 3));
  CHECK(scratch.read("spool/telemetry/notes.txt") == "mine");
}

TEST_CASE("refused records are counted as such") {
  const Scratch scratch;
  Spool spool{options_in(scratch)};
  fill(spool, 0, 3);
  SpoolQueue& queue = spool.queue(Urgency::telemetry);
  const auto entries = queue.peek({2, 1000}, at(1s));
  queue.finish(entries.back().sequence, true);
  CHECK(queue.losses().refused == 2);
  CHECK(drain(spool, at(1s)) == numbers(2, 3));
}

TEST_CASE("random life with crashes: all that was taken arrives or is counted, in order, once") {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    const Scratch scratch;
    SpoolOptions options = options_in(scratch, 1024 * 1024);
    auto spool = std::make_unique<Spool>(options);
    std::uint64_t taken = 0;
    std::uint64_t arrived = 0;
    long last = -1;
    for (int step = 0; step < 600; ++step) {
      const auto draw = random() % 100;
      const SpoolTime now = at(Milliseconds{step});
      if (draw < 60) {
        std::string body = std::to_string(taken);
        body.resize(body.size() + random() % 8000, ' ');
        taken += spool->append(Urgency::telemetry, body, now) ? 1 : 0;
      } else if (draw < 95) {
        SpoolQueue& queue = spool->queue(Urgency::telemetry);
        const auto entries = queue.peek({1 + random() % 20, batch_bytes_max}, now);
        const std::size_t count = entries.empty() ? 0 : random() % (entries.size() + 1);
        for (std::size_t index = 0; index < count; ++index) {
          const long number = std::stol(entries[index].body);
          REQUIRE(number > last);
          last = number;
          ++arrived;
        }
        if (count > 0) {
          queue.finish(entries[count - 1].sequence);
        }
      } else {
        spool.reset();
        options.boot = boot_of(static_cast<char>('1' + random() % 3));
        spool = std::make_unique<Spool>(options);
      }
      const SpoolQueue& queue = spool->queue(Urgency::telemetry);
      REQUIRE(taken == arrived + queue.losses().total() + queue.pending());
      REQUIRE(spool->bytes() <= options.bytes_max);
    }
  }
}

}  // namespace
