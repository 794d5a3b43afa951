#include "device/configuration_section.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

namespace skerry::agent {

namespace {

using Units = std::vector<std::pair<std::string_view, std::uint64_t>>;

/// Farther away than this from what was written a suggestion would only confuse.
constexpr std::size_t suggestion_distance_max = 3;

std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, diagonal + 1, replaced});
    }
  }
  return row.back();
}

std::optional<std::uint64_t> whole_number(std::string_view text, std::string_view& rest) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return value;
}

/// The largest unit that leaves no rest: how a limit is shown.
std::string measured(std::uint64_t value, const Units& units) {
  const auto unit = std::find_if(units.rbegin(), units.rend(), [value](const auto& candidate) {
    return value % candidate.second == 0 && value >= candidate.second;
  });
  return unit == units.rend() ? std::to_string(value)
                              : std::to_string(value / unit->second) + std::string{unit->first};
}

}  // namespace

Section::Section(std::string file, std::string path, const YAML::Node& node,
                 std::vector<std::string_view> known)
    : file_(std::move(file)), path_(std::move(path)), node_(node), known_(std::move(known)) {
  if (!node_.IsMap()) {
    fail_at(node_, (path_.empty() ? "the file" : path_) + " must be a map of keys and values");
  }
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    check_key(entry.first);
    if (!seen.insert(entry.first.Scalar()).second) {
      fail_at(entry.first, "key \"" + entry.first.Scalar() + "\" comes twice");
    }
  }
}

void Section::check_key(const YAML::Node& key) const {
  const std::string word = scalar(key, "a key");
  if (std::find(known_.begin(), known_.end(), word) != known_.end()) {
    return;
  }
  const auto nearest = std::min_element(known_.begin(), known_.end(),
                                        [&word](std::string_view left, std::string_view right) {
                                          return distance(word, left) < distance(word, right);
                                        });
  std::string sentence = "unknown key \"" + word + "\"";
  sentence += path_.empty() ? "" : " in " + path_;
  if (nearest != known_.end() && distance(word, *nearest) <= suggestion_distance_max) {
    sentence += "; did you mean \"" + std::string{*nearest} + "\"?";
  }
  fail_at(key, sentence);
}

void Section::fail_at(const YAML::Node& node, const std::string& sentence) const {
  const int line = node.IsDefined() ? node.Mark().line + 1 : 1;
  throw ConfigurationError(file_ + ":" + std::to_string(std::max(line, 1)) + ": " + sentence);
}

void Section::fail(std::string_view key, const std::string& sentence) const {
  const YAML::Node node = value(key);
  fail_at(node.IsDefined() ? node : node_, qualified(key) + " " + sentence);
}

std::string Section::qualified(std::string_view key) const {
  return path_.empty() ? std::string{key} : path_ + "." + std::string{key};
}

YAML::Node Section::value(std::string_view key) const {
  return node_[std::string{key}];
}

Section Section::section(std::string_view key, std::vector<std::string_view> known) const {
  const YAML::Node node = value(key);
  return {file_, qualified(key), node.IsDefined() ? node : YAML::Node{YAML::NodeType::Map},
          std::move(known)};
}

std::string Section::scalar(const YAML::Node& node, const std::string& what) const {
  if (!node.IsScalar()) {
    fail_at(node, what + " must be a single value");
  }
  return node.Scalar();
}

void Section::read(std::string_view key, std::string& target) const {
  if (const YAML::Node node = value(key)) {
    target = scalar(node, qualified(key));
  }
}

void Section::read(std::string_view key, bool& target) const {
  if (const YAML::Node node = value(key)) {
    const std::string word = scalar(node, qualified(key));
    if (word != "true" && word != "false") {
      fail(key, "must be true or false");
    }
    target = word == "true";
  }
}

void Section::read(std::string_view key, std::vector<std::string>& target,
                   std::size_t count_max) const {
  const YAML::Node node = value(key);
  if (!node) {
    return;
  }
  if (!node.IsSequence() || node.size() > count_max) {
    fail(key, "must be a list of at most " + std::to_string(count_max) + " values");
  }
  target.clear();
  for (const auto& item : node) {
    target.push_back(scalar(item, "each of " + qualified(key)));
  }
}

std::uint64_t Section::number(std::string_view key, std::uint64_t otherwise, Range range) const {
  return measure(key, otherwise, range, {});
}

/// A whole number followed by one of `units`, or by nothing when there are none.
std::uint64_t Section::measure(std::string_view key, std::uint64_t otherwise, Range range,
                               const Units& units) const {
  const YAML::Node node = value(key);
  if (!node) {
    return otherwise;
  }
  const std::string text = scalar(node, qualified(key));
  std::string_view unit;
  const auto count = whole_number(text, unit);
  const auto named = std::find_if(units.begin(), units.end(),
                                  [unit](const auto& each) { return each.first == unit; });
  const bool unit_known = units.empty() ? unit.empty() : named != units.end();
  const std::uint64_t factor = units.empty() || !unit_known ? 1 : named->second;
  if (count && unit_known && *count <= std::numeric_limits<std::uint64_t>::max() / factor) {
    const std::uint64_t value = *count * factor;
    if (value >= range.minimum && value <= range.maximum) {
      return value;
    }
  }
  fail(key, "must be between " + measured(range.minimum, units) + " and " +
                measured(range.maximum, units));
}

void Section::read_size(std::string_view key, std::uint64_t& target, Range range) const {
  target = measure(key, target, range, {{"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1 << 30}});
}

void Section::read_duration(std::string_view key, Milliseconds& target, Range range) const {
  const auto value =
      measure(key, static_cast<std::uint64_t>(target.count()), range,
              {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}});
  target = Milliseconds{static_cast<std::int64_t>(value)};
}

}  // namespace skerry::agent
