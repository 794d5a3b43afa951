#include "sim/places.hpp"

#include <array>

#include "mqtt/topic.hpp"

namespace skerry::sim {
namespace {

using Table = std::array<std::array<bool, topic_count>, filter_count>;

Table make_table() {
  Table table{};
  for (FilterIndex filter = 0; filter < filter_count; ++filter) {
    const auto shared = mqtt::is_shared_filter(filters[filter])
                            ? mqtt::split_shared(filters[filter])
                            : std::nullopt;
    for (TopicIndex topic = 0; topic < topic_count; ++topic) {
      table[filter][topic] =
          mqtt::matches(shared ? shared->filter : filters[filter], topics[topic]);
    }
  }
  return table;
}

const Table table = make_table();

}  // namespace

bool matches(FilterIndex filter, TopicIndex topic) noexcept {
  return table[filter][topic];
}

TopicIndex topic_of(std::string_view name) noexcept {
  for (TopicIndex topic = 0; topic < topic_count; ++topic) {
    if (topics[topic] == name) {
      return topic;
    }
  }
  return topic_count;
}

}  // namespace skerry::sim
