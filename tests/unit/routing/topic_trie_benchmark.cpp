// Not a test: figures of the trie, printed by `test_routing -tc="*benchmark*" --no-skip`.
#include <doctest/doctest.h>
#include <malloc.h>

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "mqtt/topic.hpp"
#include "routing/topic_trie.hpp"

using namespace skerry;
using namespace skerry::routing;

namespace {

struct Subscribers {
  std::vector<std::uint64_t> sessions;  // what a shard keeps per filter is about as large
};

std::size_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Of this thread's own time, so that others on the machine do not count (but for their use of the
/// caches).
std::int64_t thread_nanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

template <typename Work>
double nanoseconds_each(std::size_t count, Work work) {
  const std::int64_t before = thread_nanoseconds();
  for (std::size_t i = 0; i < count; ++i) {
    work(i);
  }
  return static_cast<double>(thread_nanoseconds() - before) / static_cast<double>(count);
}

void measure(const char* name, std::size_t count, const char* tail, const char* extra) {
  std::vector<std::string> topics;
  for (std::size_t i = 0; i < count; ++i) {
    topics.push_back("devices/" + std::to_string(i) + tail);
  }
  const std::size_t before = heap_bytes();
  TopicTrie<Subscribers> trie(HashKey{{0x1234, 0x5678}});
  const double insert = nanoseconds_each(count, [&](std::size_t i) { trie.insert(topics[i]); });
  if (extra != nullptr) {
    trie.insert(extra);
  }
  const std::size_t bytes = heap_bytes() - before;
  std::mt19937 random(1);
  std::vector<std::string> order;  // a topic that was just received lies in the cache
  for (std::size_t i = 0; i < 500'000; ++i) {
    order.push_back(topics[random() % count]);
  }
  std::size_t hits = 0;
  const auto count_hit = [&hits](const Subscribers&) { ++hits; };
  const double scattered =
      nanoseconds_each(order.size(), [&](std::size_t i) { trie.match(order[i], count_hit); });
  const double same =
      nanoseconds_each(order.size(), [&](std::size_t) { trie.match(topics[0], count_hit); });
  std::printf(
      "%-34s %7zu filters: %6.1f bytes a filter, insert %6.1f ns, match %6.1f ns scattered,"
      " %6.1f ns repeated (%zu hits)\n",
      name, trie.size(), static_cast<double>(bytes) / static_cast<double>(count), insert, scattered,
      same, hits);
}

}  // namespace

TEST_CASE("benchmark of the trie" * doctest::skip()) {
  measure("devices/<n>/telemetry", 100'000, "/telemetry", nullptr);
  measure("… with devices/+/telemetry", 100'000, "/telemetry", "devices/+/telemetry");
  measure("devices/<n>/commands/x/request", 100'000, "/commands/x/request", nullptr);
  measure("devices/<n>/telemetry", 1'000'000, "/telemetry", nullptr);
}
