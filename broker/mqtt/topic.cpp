#include "mqtt/topic.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "mqtt/byte_words.hpp"

namespace skerry::mqtt {
namespace {

constexpr std::size_t topic_bytes_max = 65'535;  // [MQTT-4.7.3-3]

/// Levels are slashes + 1, so what has fewer bytes than the cap has levels to spare.
bool has_too_many_levels(std::string_view text) noexcept {
  return text.size() >= topic_levels_max &&
         static_cast<std::size_t>(std::count(text.begin(), text.end(), '/')) >= topic_levels_max;
}

bool is_valid_plain_filter(std::string_view filter) noexcept {
  if (filter.empty() || filter.size() > topic_bytes_max) {  // [MQTT-4.7.3-1, MQTT-4.7.3-3]
    return false;
  }
  const std::size_t last = filter.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    const char c = filter[i];
    if (c != '+' && c != '#' && c != '\0') {
      continue;
    }
    const bool opens_level = i == 0 || filter[i - 1] == '/';
    if (c == '\0' || !opens_level) {  // [MQTT-4.7.3-2]
      return false;
    }
    if (c == '#' ? i != last                           // [MQTT-4.7.1-1]
                 : i != last && filter[i + 1] != '/')  // [MQTT-4.7.1-2]
    {
      return false;
    }
  }
  return !has_too_many_levels(filter);
}

/// Cuts the first level off `rest`; `more` says whether a level follows.
std::string_view take_level(std::string_view& rest, bool& more) noexcept {
  const std::size_t slash = rest.find('/');
  more = slash != std::string_view::npos;
  const std::string_view level = rest.substr(0, slash);
  rest = more ? rest.substr(slash + 1) : std::string_view{};
  return level;
}

bool begins_with_wildcard(std::string_view filter) noexcept {
  return !filter.empty() && (filter[0] == '+' || filter[0] == '#');
}

bool begins_with_dollar(std::string_view text) noexcept {
  return !text.empty() && text[0] == '$';
}

}  // namespace

bool is_valid_topic_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > topic_bytes_max) {  // [MQTT-4.7.3-1, MQTT-4.7.3-3]
    return false;
  }
  // [MQTT-4.7.0-1, MQTT-3.3.2-2, MQTT-4.7.3-2]
  const bool clean =
      name.size() >= word_bytes
          ? no_word(name,
                    [](std::uint64_t word) {
                      return holds(word, '+') || holds(word, '#') || holds(word, '\0');
                    })
          : name.find_first_of(std::string_view("+#\0", 3)) == std::string_view::npos;
  if (!clean) {
    return false;
  }
  return !has_too_many_levels(name);
}

bool is_valid_topic_filter(std::string_view filter) noexcept {
  if (is_shared_filter(filter)) {
    return filter.size() <= topic_bytes_max && split_shared(filter).has_value();
  }
  return is_valid_plain_filter(filter);
}

std::optional<SharedFilter> split_shared(std::string_view filter) noexcept {
  if (!is_shared_filter(filter)) {
    return std::nullopt;
  }
  const std::string_view rest = filter.substr(std::string_view("$share/").size());
  const std::size_t slash = rest.find('/');
  if (slash == 0 || slash == std::string_view::npos) {  // [MQTT-4.8.2-1, MQTT-4.8.2-2]
    return std::nullopt;
  }
  const SharedFilter shared{rest.substr(0, slash), rest.substr(slash + 1)};
  // A share of a share would have two meanings; nobody can publish to $share/… anyway.
  if (has_wildcard(shared.group) || is_shared_filter(shared.filter) ||
      shared.group.find('\0') != std::string_view::npos || !is_valid_plain_filter(shared.filter)) {
    return std::nullopt;
  }
  return shared;
}

bool matches(std::string_view filter, std::string_view name) noexcept {
  if (begins_with_wildcard(filter) && begins_with_dollar(name)) {  // [MQTT-4.7.2-1]
    return false;
  }
  std::size_t f = 0;
  std::size_t n = 0;
  for (;;) {  // both stand at the beginning of a level; each turn moves `f` on
    if (f < filter.size() && filter[f] == '#') {
      return true;
    }
    if (f < filter.size() && filter[f] == '+') {
      ++f;
      n = std::min(name.find('/', n), name.size());
    } else {
      while (f < filter.size() && n < name.size() && filter[f] == name[n] && name[n] != '/') {
        ++f;
        ++n;
      }
    }
    const bool filter_ends = f == filter.size();
    const bool name_ends = n == name.size();
    if ((!filter_ends && filter[f] != '/') || (!name_ends && name[n] != '/')) {
      return false;
    }
    if (name_ends) {
      return filter_ends || filter.substr(f) == "/#";  // a/# matches its parent a, section 4.7.1.2
    }
    if (filter_ends) {
      return false;
    }
    ++f;
    ++n;
  }
}

bool covers(std::string_view wide, std::string_view narrow) noexcept {
  if (begins_with_wildcard(wide) && begins_with_dollar(narrow)) {  // [MQTT-4.7.2-1]
    return false;
  }
  if (narrow == "#" && wide == "+/#") {  // every name has a first level, so both match all
    return true;
  }
  bool wide_more = true;
  bool narrow_more = true;
  while (wide_more) {
    const std::string_view wide_level = take_level(wide, wide_more);
    if (wide_level == "#") {
      return true;
    }
    if (!narrow_more) {
      return false;
    }
    const std::string_view narrow_level = take_level(narrow, narrow_more);
    if (narrow_level == "#" || (wide_level != "+" && wide_level != narrow_level)) {
      return false;
    }
  }
  return !narrow_more;
}

}  // namespace skerry::mqtt
