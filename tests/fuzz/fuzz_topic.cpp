// Topic rules against implementations that are slow and plain: validity level by level, matching by
// recursion, covering by every shape of name that the narrower filter matches, UTF-8 by code point.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "mqtt/topic.hpp"

namespace {

using namespace skerry;
using namespace skerry::mqtt;

using Levels = std::vector<std::string>;

Levels split(std::string_view text) {
  Levels levels(1);
  for (const char c : text) {
    if (c == '/') {
      levels.emplace_back();
    } else {
      levels.back().push_back(c);
    }
  }
  return levels;
}

std::string join(const Levels& levels) {
  std::string text = levels[0];
  for (std::size_t i = 1; i < levels.size(); ++i) {
    text += "/" + levels[i];
  }
  return text;
}

bool plain_is_valid(std::string_view filter) {
  const Levels levels = split(filter);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const std::string& level = levels[i];
    const bool last = i + 1 == levels.size();
    if (level != "+" && !(level == "#" && last) && has_wildcard(level)) {
      return false;
    }
  }
  return !filter.empty() && levels.size() <= topic_levels_max &&
         filter.find('\0') == std::string_view::npos;
}

bool plain_matches(const Levels& filter, std::size_t f, const Levels& name, std::size_t n) {
  if (f == filter.size()) {
    return n == name.size();
  }
  if (filter[f] == "#") {
    return true;
  }
  return n < name.size() && (filter[f] == "+" || filter[f] == name[n]) &&
         plain_matches(filter, f + 1, name, n + 1);
}

bool plain_matches(std::string_view filter, std::string_view name) {
  const bool hidden = name.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'));
  return !hidden && plain_matches(split(filter), 0, split(name), 0);
}

/// A wildcard stands for any word; a word that `wide` does not have is the hardest to match, and
/// `#` for any number of them, of which `wide` can tell only as many apart as it has levels.
bool plain_covers(std::string_view wide, std::string_view narrow) {
  Levels levels = split(narrow);
  const std::string fresh(wide.size() + 1, 'z');
  const bool open = levels.back() == "#";
  if (open) {
    levels.pop_back();
  }
  std::replace(levels.begin(), levels.end(), std::string("+"), fresh);
  const std::size_t words = open ? split(wide).size() + 2 : 0;
  for (std::size_t i = 0; i <= words; ++i) {
    if (!levels.empty() && !plain_matches(wide, join(levels))) {
      return false;
    }
    levels.push_back(fresh);
  }
  return true;
}

bool plain_is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<std::uint8_t>(text[i]);
    const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xC0) || first >= 0xF8 || i + size > text.size()) {
      return false;
    }
    std::uint32_t point = size == 1 ? first : first & (0x7Fu >> size);
    for (std::size_t j = 1; j < size; ++j) {
      const auto next = static_cast<std::uint8_t>(text[i + j]);
      if ((next & 0xC0) != 0x80) {
        return false;
      }
      point = point << 6 | (next & 0x3Fu);
    }
    constexpr std::uint32_t smallest[] = {0, 1, 0x80, 0x800, 0x10000};
    if (point < smallest[size] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
      return false;
    }
    i += size;
  }
  return true;
}

std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 600) {
    return 0;
  }
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  SKERRY_ASSERT(is_valid_utf8(rest) == plain_is_utf8(rest));
  const std::string wide(take_line(rest));
  const std::string narrow(take_line(rest));
  const std::string name(rest);
  if (is_shared_filter(wide)) {
    const auto shared = split_shared(wide);
    SKERRY_ASSERT(is_valid_topic_filter(wide) == shared.has_value());
    SKERRY_ASSERT(!shared || (plain_is_valid(shared->filter) && !shared->group.empty()));
    return 0;
  }
  SKERRY_ASSERT(is_valid_topic_filter(wide) == plain_is_valid(wide));
  SKERRY_ASSERT(is_valid_topic_name(wide) == (plain_is_valid(wide) && !has_wildcard(wide)));
  if (!is_valid_topic_filter(wide)) {
    return 0;
  }
  if (is_valid_topic_name(name)) {
    SKERRY_ASSERT(matches(wide, name) == plain_matches(wide, name));
  }
  if (is_valid_topic_filter(narrow) && !is_shared_filter(narrow)) {
    SKERRY_ASSERT(covers(wide, narrow) == plain_covers(wide, narrow));
  }
  return 0;
}
