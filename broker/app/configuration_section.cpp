// Sentences for people who wrote a configuration file by hand.
#include "app/configuration_section.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "app/configuration_value.hpp"

namespace skerry::app {

namespace {

// A suggestion farther away than this from what was written would only confuse.
constexpr std::size_t suggestion_distance_max = 3;

std::string joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    text += (text.empty() ? "" : ", ") + std::string(word);
  }
  return text;
}

std::string range_text(const std::string& minimum, const std::string& maximum) {
  return "must be between " + minimum + " and " + maximum;
}

}  // namespace

void fail_at(const std::string& name, const YAML::Node& node, const std::string& sentence) {
  const int line = node.IsDefined() ? node.Mark().line + 1 : 1;
  throw ConfigurationError(name + ":" + std::to_string(std::max(line, 1)) + ": " + sentence);
}

Section::Section(std::string name, std::string path, const YAML::Node& node,
                 std::vector<std::string_view> known)
    : name_(std::move(name)), path_(std::move(path)), node_(node), known_(std::move(known)) {
  if (!node_.IsMap()) {
    fail(node_, (path_.empty() ? "the file" : path_) + " must be a map of keys and values");
  }
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    check_key(entry.first);
    if (!seen.insert(entry.first.Scalar()).second) {
      fail(entry.first, "key \"" + entry.first.Scalar() + "\" comes twice");
    }
  }
}

void Section::check_key(const YAML::Node& key) const {
  const std::string word = scalar(key, "a key");
  if (std::find(known_.begin(), known_.end(), word) != known_.end()) {
    return;
  }
  const auto nearest = std::min_element(
      known_.begin(), known_.end(), [&word](std::string_view left, std::string_view right) {
        return edit_distance(word, left) < edit_distance(word, right);
      });
  const std::string where = path_.empty() ? "" : " in " + path_;
  if (edit_distance(word, *nearest) <= suggestion_distance_max) {
    fail(key, "unknown key \"" + word + "\"" + where + ", did you mean \"" + std::string(*nearest) +
                  "\"?");
  }
  fail(key, "unknown key \"" + word + "\"" + where + "; known keys are " + joined(known_));
}

std::string Section::qualified(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

YAML::Node Section::value(std::string_view key) const {
  for (const auto& entry : node_) {
    if (entry.first.Scalar() != key) {
      continue;
    }
    if (entry.second.IsNull()) {
      fail(entry.first, qualified(key) + " has no value");
    }
    return entry.second;
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

std::string Section::scalar(const YAML::Node& node, const std::string& what) const {
  if (!node.IsScalar()) {
    fail(node, what + " must be a single value");
  }
  for (const char character : node.Scalar()) {
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) {
      fail(node, what + " must not contain control characters");
    }
  }
  return node.Scalar();
}

void Section::read(std::string_view key, std::string& target) const {
  if (const YAML::Node node = value(key)) {
    target = scalar(node, qualified(key));
    if (target.empty()) {
      fail(node, qualified(key) + " must not be empty");
    }
  }
}

void Section::read(std::string_view key, bool& target) const {
  read_choice<bool>(key, target, {{"true", true}, {"false", false}});
}

void Section::read(std::string_view key, std::vector<std::string>& target) const {
  const YAML::Node node = value(key);
  if (!node) {
    return;
  }
  if (!node.IsSequence()) {
    fail(node, qualified(key) + " must be a list, such as [a, b]");
  }
  target.clear();
  for (const auto& each : node) {
    target.push_back(scalar(each, "an entry of " + qualified(key)));
  }
}

std::uint64_t Section::read_number(std::string_view key, std::uint64_t otherwise,
                                   Range range) const {
  const YAML::Node node = value(key);
  if (!node) {
    return otherwise;
  }
  const std::string text = scalar(node, qualified(key));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    fail(node, qualified(key) + " must be a whole number, not \"" + text + "\"");
  }
  if (number < range.minimum || number > range.maximum) {
    fail(node, qualified(key) + " " +
                   range_text(std::to_string(range.minimum), std::to_string(range.maximum)));
  }
  return number;
}

std::uint64_t Section::read_size(std::string_view key, std::uint64_t otherwise, Range range) const {
  const YAML::Node node = value(key);
  if (!node) {
    return otherwise;
  }
  const std::string text = scalar(node, qualified(key));
  const auto bytes = parse_size(text);
  if (!bytes) {
    fail(node, qualified(key) + " must be a size such as 64KiB or 2MiB, not \"" + text + "\"");
  }
  if (*bytes < range.minimum || *bytes > range.maximum) {
    fail(node,
         qualified(key) + " " + range_text(format_size(range.minimum), format_size(range.maximum)));
  }
  return *bytes;
}

std::chrono::milliseconds Section::read_duration(std::string_view key,
                                                 std::chrono::milliseconds otherwise,
                                                 Range range) const {
  const YAML::Node node = value(key);
  if (!node) {
    return otherwise;
  }
  const std::string text = scalar(node, qualified(key));
  const auto duration = parse_duration(text);
  if (!duration) {
    fail(node,
         qualified(key) + " must be a duration such as 100ms, 10s or 30d, not \"" + text + "\"");
  }
  const auto count = static_cast<std::uint64_t>(duration->count());
  if (count < range.minimum || count > range.maximum) {
    const auto show = [](std::uint64_t milliseconds) {
      return format_duration(std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds)));
    };
    fail(node, qualified(key) + " " + range_text(show(range.minimum), show(range.maximum)));
  }
  return *duration;
}

void Section::fail_choice(const YAML::Node& node, const std::string& what, const std::string& word,
                          const std::vector<std::string_view>& words) const {
  fail(node, what + " must be one of " + joined(words) + ", not \"" + word + "\"");
}

}  // namespace skerry::app
