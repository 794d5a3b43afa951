// skerry-floor-trie: a million filters, half of them with a wildcard, in the broker's trie: bytes
// of each, and how long one match takes when topics come scattered. One JSON object.
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "routing/topic_trie.hpp"

namespace {

using namespace skerry;

constexpr std::size_t filters = 1'000'000;
constexpr std::size_t matches = 500'000;

/// About what a shard keeps of one subscriber.
struct Entry {
  std::uint64_t words[4] = {};
};

std::size_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string device(std::size_t number) {
  return "site-" + std::to_string(number % 100) + "/device-" + std::to_string(number);
}

std::string filter(std::size_t number) {
  switch (number % 4) {
    case 0:
      return device(number) + "/+";
    case 1:
      return device(number) + "/#";
    default:
      return device(number) + "/telemetry";
  }
}

}  // namespace

int main() {
  using Clock = std::chrono::steady_clock;
  std::random_device seed;
  const std::size_t before = heap_bytes();
  routing::TopicTrie<Entry> trie(HashKey{{seed(), seed()}});
  for (std::size_t i = 0; i < filters; ++i) {
    trie.insert(filter(i));
  }
  const double bytes = static_cast<double>(heap_bytes() - before) / filters;
  std::mt19937 random(1);
  std::vector<std::int64_t> times;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < matches; ++i) {
    const std::string topic = device(random() % filters) + "/telemetry";
    const auto begin = Clock::now();
    trie.match(topic, [&hits](Entry&) { ++hits; });
    times.push_back((Clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  std::printf(R"({"filters": %zu, "hits": %zu, "bytes_per_filter": %.1f, "match_p50_us": %.3f, )"
              R"("match_p99_us": %.3f, "match_p999_us": %.3f})"
              "\n",
              trie.size(), hits, bytes, static_cast<double>(times[matches / 2]) / 1000,
              static_cast<double>(times[matches / 100 * 99]) / 1000,
              static_cast<double>(times[matches / 1000 * 999]) / 1000);
  return hits == matches ? 0 : 1;
}
