// Rules for topic names and filters (MQTT 5.0 section 4.7 and 4.8.2): validity, levels, shared
// subscriptions, matching. Pure functions, any thread, no allocation.
#pragma once

#include <optional>
#include <string_view>

namespace skerry::mqtt {

/// Well-formed UTF-8 without U+0000 and surrogates [MQTT-1.5.4-1, MQTT-1.5.4-2]. Control characters
/// and non-characters are allowed, as the specification lets a receiver choose. O(length).
bool is_valid_utf8(std::string_view text) noexcept;

/// A name that can be published to: not empty, no wildcard [MQTT-3.3.2-2], no U+0000, at most
/// 65,535 bytes and topic_levels_max levels. UTF-8 is not checked again.
bool is_valid_topic_name(std::string_view name) noexcept;

/// A filter: `#` only alone in the last level [MQTT-4.7.1-1], `+` only alone in a level
/// [MQTT-4.7.1-2]; not empty; for `$share/…` see split_shared(). UTF-8 is not checked again.
bool is_valid_topic_filter(std::string_view filter) noexcept;

inline bool has_wildcard(std::string_view filter) noexcept {
  return filter.find_first_of("+#") != std::string_view::npos;
}

/// Begins with `$share/` [MQTT-4.8.2-1].
inline bool is_shared_filter(std::string_view filter) noexcept {
  return filter.substr(0, 7) == "$share/";
}

struct SharedFilter {
  std::string_view group;
  std::string_view filter;
};

/// Cuts `$share/{group}/{filter}`; nullopt when the group is empty or has a wildcard
/// [MQTT-4.8.2-1, MQTT-4.8.2-2] or the filter is missing or not valid.
std::optional<SharedFilter> split_shared(std::string_view filter) noexcept;

/// Does `filter` (no `$share`) match `name`? Names that begin with `$` are not matched by filters
/// that begin with a wildcard [MQTT-4.7.2-1]. O(length).
bool matches(std::string_view filter, std::string_view name) noexcept;

/// Does every name that `narrow` matches match `wide` too? (`a/+` is covered by `a/#`.) O(length).
bool covers(std::string_view wide, std::string_view narrow) noexcept;

}  // namespace skerry::mqtt
