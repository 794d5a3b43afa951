// The trie against the rules of section 4.7, against the naive matcher and against hostile filters.
#include "routing/topic_trie.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "mqtt/topic.hpp"

using namespace skerry;
using namespace skerry::routing;

namespace {

constexpr HashKey key{{0x0123456789abcdefULL, 0xfedcba9876543210ULL}};

using Trie = TopicTrie<std::string>;

void add(Trie& trie, const std::string& filter) {
  trie.insert(filter) = filter;
}

std::vector<std::string> matched(const Trie& trie, std::string_view topic) {
  std::vector<std::string> found;
  const std::size_t visited =
      trie.match(topic, [&](const std::string& filter) { found.push_back(filter); });
  CHECK(visited <= trie.node_count() + 1);
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> naive(const std::set<std::string>& filters, std::string_view topic) {
  std::vector<std::string> found;
  for (const std::string& filter : filters) {
    if (mqtt::matches(filter, topic)) {
      found.push_back(filter);
    }
  }
  return found;
}

using Found = std::vector<std::string>;

/// Filters and topics of few different levels, so that they meet often.
class Names {
 public:
  explicit Names(std::uint32_t seed) : random_(seed) {}

  std::string topic() { return path({"a", "b", "c", "", "$x", "a-level-of-more-than-18-bytes"}); }

  std::string filter() {
    std::string text = path({"a", "b", "c", "", "$x", "+", "+", "a-level-of-more-than-18-bytes"});
    if (pick(4) == 0) {
      text = pick(8) == 0 ? "#" : text + "/#";
    }
    return text;
  }

  std::size_t pick(std::size_t count) { return random_() % count; }

 private:
  std::string path(const std::vector<std::string>& levels) {
    std::string text = levels[pick(levels.size())];
    for (std::size_t more = pick(6); more > 0; --more) {
      text += "/" + levels[pick(levels.size())];
    }
    return text.empty() ? "a" : text;
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("wildcards match as section 4.7 says") {
  Trie trie(key);
  for (const char* filter : {"sport/#", "sport/tennis/+", "sport/+", "+", "#", "+/+", "/+",
                             "/finance", "sport/tennis/player1/#", "sport/+/player1"}) {
    add(trie, filter);
  }
  CHECK(matched(trie, "sport") == Found{"#", "+", "sport/#"});
  CHECK(matched(trie, "sport/") == Found{"#", "+/+", "sport/#", "sport/+"});
  CHECK(matched(trie, "/finance") == Found{"#", "+/+", "/+", "/finance"});
  CHECK(matched(trie, "sport/tennis/player1") ==
        Found{"#", "sport/#", "sport/+/player1", "sport/tennis/+", "sport/tennis/player1/#"});
  CHECK(matched(trie, "sport/tennis/player1/ranking") ==
        Found{"#", "sport/#", "sport/tennis/player1/#"});
  CHECK(matched(trie, "Sport") == Found{"#", "+"});
}

TEST_CASE("leading wildcards do not match names that begin with a dollar sign") {
  Trie trie(key);
  for (const char* filter : {"#", "+", "+/#", "+/monitor", "$SYS/#", "$SYS/+", "$SYS/monitor/+"}) {
    add(trie, filter);
  }
  CHECK(matched(trie, "$SYS") == Found{"$SYS/#"});  // [MQTT-4.7.2-1]
  CHECK(matched(trie, "$SYS/monitor") == Found{"$SYS/#", "$SYS/+"});
  CHECK(matched(trie, "$SYS/monitor/x") == Found{"$SYS/#", "$SYS/monitor/+"});
  CHECK(matched(trie, "x/$SYS") == Found{"#", "+/#"});
}

TEST_CASE("empty levels are levels") {
  Trie trie(key);
  for (const char* filter : {"/", "//", "a//b", "a/+/b", "+/", "/+/"}) {
    add(trie, filter);
  }
  CHECK(matched(trie, "/") == Found{"+/", "/"});
  CHECK(matched(trie, "//") == Found{"/+/", "//"});
  CHECK(matched(trie, "a//b") == Found{"a/+/b", "a//b"});
  CHECK(matched(trie, "a/") == Found{"+/"});
}

TEST_CASE("an inserted filter is found, and only it") {
  Trie trie(key);
  CHECK(trie.empty());
  CHECK(trie.find("a/b") == nullptr);
  add(trie, "a/b");
  add(trie, "a/b/#");
  add(trie, "a/+");
  CHECK(trie.size() == 3);
  CHECK(*trie.find("a/b") == "a/b");
  CHECK(*trie.find("a/b/#") == "a/b/#");
  CHECK(trie.find("a") == nullptr);
  CHECK(trie.find("#") == nullptr);
  CHECK(trie.find("a/b/c") == nullptr);
  CHECK(&trie.insert("a/b") == trie.find("a/b"));
  CHECK(trie.size() == 3);
  const Trie& constant = trie;
  CHECK(*constant.find("a/+") == "a/+");
}

TEST_CASE("erase removes the filter, its value and the branches that nobody else needs") {
  TopicTrie<std::shared_ptr<int>> trie(key);
  const auto value = std::make_shared<int>(1);
  for (const char* filter : {"a", "a/b/c", "a/b/+", "a/b/c/#", "#", "a/b/d"}) {
    trie.insert(filter) = value;
  }
  CHECK(value.use_count() == 7);
  CHECK_FALSE(trie.erase("a/b"));  // a branch, not a filter
  CHECK_FALSE(trie.erase("a/x"));
  CHECK_FALSE(trie.erase("a/b/c/d"));
  CHECK(trie.node_count() == 5);
  CHECK(trie.erase("a/b/c"));
  CHECK_FALSE(trie.erase("a/b/c"));
  CHECK(trie.node_count() == 5);  // a/b/c/# still needs it
  CHECK(trie.erase("a/b/c/#"));
  CHECK(trie.node_count() == 4);
  CHECK(trie.erase("a/b/+"));
  CHECK(trie.erase("a/b/d"));
  CHECK(trie.node_count() == 1);
  CHECK(trie.erase("#"));
  CHECK(trie.erase("a"));
  CHECK(trie.node_count() == 0);
  CHECK(trie.empty());
  CHECK(value.use_count() == 1);
}

TEST_CASE("references stay where they are while the trie grows and shrinks") {
  Trie trie(key);
  std::string& first = trie.insert("first");
  first = "first";
  for (int i = 0; i < 5000; ++i) {
    add(trie, "devices/" + std::to_string(i) + "/telemetry");
  }
  CHECK(trie.find("first") == &first);
  for (int i = 0; i < 5000; ++i) {
    CHECK(trie.erase("devices/" + std::to_string(i) + "/telemetry"));
  }
  CHECK(trie.find("first") == &first);
  CHECK(trie.node_count() == 1);
}

TEST_CASE("random filters match what the naive matcher says, at every state of the trie") {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Names names(seed);
    Trie trie(HashKey{{seed, seed * 77}});
    std::set<std::string> filters;
    for (int step = 0; step < 400; ++step) {
      const std::string filter = names.filter();
      if (names.pick(3) != 0) {
        add(trie, filter);
        filters.insert(filter);
      } else if (names.pick(2) == 0) {
        CHECK(trie.erase(filter) == (filters.erase(filter) == 1));
      } else if (!filters.empty()) {
        const std::string gone =
            *std::next(filters.begin(), static_cast<std::ptrdiff_t>(names.pick(filters.size())));
        CHECK(trie.erase(gone));
        filters.erase(gone);
      }
      const std::string topic = names.topic();
      CAPTURE(topic);
      CHECK(matched(trie, topic) == naive(filters, topic));
    }
    CHECK(trie.size() == filters.size());
    std::set<std::string> listed;
    trie.for_each([&](std::string_view filter, std::string& value) {
      CHECK(filter == value);
      listed.emplace(filter);
    });
    CHECK(listed == filters);
    for (const std::string& filter : filters) {
      CHECK(trie.erase(filter));
    }
    CHECK(trie.node_count() == 0);
  }
}

TEST_CASE("a filter of 128 plus signs costs 128 visits") {
  Trie trie(key);
  std::string topic = "a";
  std::string filter = "+";
  for (std::size_t level = 1; level < topic_levels_max; ++level) {
    topic += "/a";
    filter += "/+";
  }
  add(trie, filter);
  CHECK(trie.match(topic, [](const std::string&) {}) == topic_levels_max + 1);
  CHECK(matched(trie, topic) == Found{filter});
  CHECK(matched(trie, topic + "/a").empty());
}

TEST_CASE("filters made to multiply each other cost what they hold and no more") {
  Trie trie(key);
  // All of {a,+}^10, each going on with 100 plus signs and an end that is never reached.
  std::string tail;
  for (int level = 0; level < 100; ++level) {
    tail += "/+";
  }
  for (unsigned bits = 0; bits < 1024; ++bits) {
    std::string filter;
    for (unsigned level = 0; level < 10; ++level) {
      filter += (bits >> level & 1u) != 0 ? "a/" : "+/";
    }
    add(trie, filter + "b" + tail + "/never");
  }
  std::string topic;
  for (int level = 0; level < 10; ++level) {
    topic += "a/";
  }
  topic += "b";
  for (int level = 0; level < 101; ++level) {
    topic += "/a";
  }
  std::size_t hits = 0;
  const std::size_t visited = trie.match(topic, [&](const std::string&) { ++hits; });
  CHECK(hits == 0);
  CHECK(visited <= trie.node_count() + 1);
  CHECK(trie.node_count() < 1024 * 104);
}

TEST_CASE("topics deeper than any filter, empty or odd are matched without harm") {
  Trie trie(key);
  for (const char* filter : {"#", "+", "a/#", "a/+/+"}) {
    add(trie, filter);
  }
  const std::string slashes(65'535, '/');
  CHECK(matched(trie, slashes) == Found{"#"});
  CHECK(matched(trie, "a" + slashes) == Found{"#", "a/#"});
  CHECK(matched(trie, std::string(65'535, 'a')) == Found{"#", "+"});
  CHECK(matched(trie, std::string("\0\xff", 2)) == Found{"#", "+"});
  trie.match("", [](const std::string&) {});
}

TEST_CASE("an empty trie matches nothing") {
  const Trie trie(key);
  CHECK(matched(trie, "a/b").empty());
  trie.for_each([](std::string_view, const std::string&) { CHECK(false); });
}
