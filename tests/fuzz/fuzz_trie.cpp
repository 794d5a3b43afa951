// The trie against the naive matcher: the input is a script of lines, `+filter` inserts, `-filter`
// erases, anything else is a topic to match. Stops at the first difference.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "mqtt/topic.hpp"
#include "routing/topic_trie.hpp"

namespace {

using skerry::routing::TopicTrie;
using Trie = TopicTrie<std::string>;

constexpr std::size_t lines_max = 200;

void check_match(const Trie& trie, const std::set<std::string, std::less<>>& filters,
                 std::string_view topic) {
  std::vector<std::string> found;
  const std::size_t visited =
      trie.match(topic, [&](const std::string& filter) { found.push_back(filter); });
  SKERRY_ASSERT(visited <= trie.node_count() + 1);
  std::sort(found.begin(), found.end());
  std::vector<std::string> expected;
  for (const std::string& filter : filters) {
    if (skerry::mqtt::matches(filter, topic)) {
      expected.push_back(filter);
    }
  }
  SKERRY_ASSERT(found == expected);
}

void run_line(Trie& trie, std::set<std::string, std::less<>>& filters, std::string_view line) {
  const char verb = line.empty() ? ' ' : line.front();
  if (verb != '+' && verb != '-') {
    if (skerry::mqtt::is_valid_topic_name(line)) {
      check_match(trie, filters, line);
    }
    return;
  }
  const std::string_view filter = line.substr(1);
  if (!skerry::mqtt::is_valid_topic_filter(filter) || skerry::mqtt::is_shared_filter(filter)) {
    return;
  }
  if (verb == '+') {
    trie.insert(filter) = filter;
    filters.emplace(filter);
  } else {
    SKERRY_ASSERT(trie.erase(filter) == (filters.erase(std::string(filter)) == 1));
  }
  SKERRY_ASSERT((trie.find(filter) != nullptr) == (verb == '+'));
  SKERRY_ASSERT(trie.size() == filters.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  Trie trie(skerry::HashKey{{1, 2}});
  std::set<std::string, std::less<>> filters;
  for (std::size_t line = 0; line < lines_max && !rest.empty(); ++line) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    run_line(trie, filters, rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  trie.for_each([&](std::string_view filter, const std::string& value) {
    SKERRY_ASSERT(filter == value);
    SKERRY_ASSERT(filters.count(filter) == 1);
  });
  for (const std::string& filter : filters) {
    SKERRY_ASSERT(trie.erase(filter));
  }
  SKERRY_ASSERT(trie.node_count() == 0);
  return 0;
}
