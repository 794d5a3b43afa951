// Places: the topics and filters of a simulated world and which match which.
#pragma once

#include <cstdint>
#include <string_view>

namespace skerry::sim {

using TopicIndex = std::uint16_t;
using FilterIndex = std::uint16_t;

inline constexpr std::string_view topics[] = {
    "a",    "a/b",  "a/b/c", "x/1", "x/2",  // nothing special
    "p/1",  "p/2",                          // may be denied to subscribers
    "t/1",  "t/2",                          // the tap looks at them
    "d/1",                                  // nobody may publish to it
    "$s/1", "$s/2",                         // for shared groups: no plain filter matches them
    "w/0",  "w/1",  "w/2",   "w/3", "w/4", "w/5", "w/6", "w/7", "w/8"};  // wills, one a client
inline constexpr TopicIndex topic_count = std::size(topics);
inline constexpr TopicIndex denied_topics = 5;    ///< the first of `p/`
inline constexpr TopicIndex tapped_topics = 7;    ///< the first of `t/`
inline constexpr TopicIndex forbidden_topic = 9;  ///< d/1
inline constexpr TopicIndex group_topics = 10;    ///< the first of `$s/`
inline constexpr TopicIndex will_topics = 12;     ///< the first of `w/`

inline constexpr std::string_view filters[] = {"a",
                                               "a/#",
                                               "+/b",
                                               "x/+",
                                               "#",
                                               "a/b/c",
                                               "p/#",
                                               "p/1",
                                               "t/+",
                                               "w/#",
                                               "+/+",
                                               "d/#",
                                               "$share/g1/$s/#",
                                               "$share/g1/$s/1",
                                               "$share/g2/$s/+"};
inline constexpr FilterIndex filter_count = std::size(filters);
inline constexpr FilterIndex group_filters = 12;  ///< the first shared one

/// Does the filter, without its `$share/…`, match the topic? From a table made once.
bool matches(FilterIndex filter, TopicIndex topic) noexcept;
/// topic_count: there is no such topic.
TopicIndex topic_of(std::string_view name) noexcept;
inline bool is_group(FilterIndex filter) noexcept {
  return filter >= group_filters;
}
inline bool is_group_topic(TopicIndex topic) noexcept {
  return topic >= group_topics && topic < will_topics;
}

}  // namespace skerry::sim
