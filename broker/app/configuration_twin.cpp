#include "app/configuration_twin.hpp"

#include <array>

#include "app/configuration_value.hpp"

namespace skerry::app {

namespace {

using twin::series::SeriesRule;
using Age = std::optional<Milliseconds>;

constexpr std::string_view forever = "forever";
constexpr std::uint64_t day_milliseconds = 86'400'000;
constexpr std::uint64_t age_max = 36'500 * day_milliseconds;

struct AgeRow {
  std::string_view key;
  Age SeriesRule::*age;
};
constexpr std::array age_rows{
    AgeRow{"raw", &SeriesRule::raw}, AgeRow{"minutes", &SeriesRule::minutes},
    AgeRow{"hours", &SeriesRule::hours}, AgeRow{"days", &SeriesRule::days}};

Age read_age(const Section& section, std::string_view key) {
  const YAML::Node node = section.value(key);
  if (!node || section.scalar(node, section.qualified(key)) == forever) {
    return std::nullopt;
  }
  return section.read_duration(key, {}, {day_milliseconds, age_max});
}

SeriesRule read_rule(const std::string& name, std::size_t index, const YAML::Node& node) {
  const Section section(name, "twin.series_rules[" + std::to_string(index) + "]", node,
                        {"device", "key", "raw", "minutes", "hours", "days", "resolution"});
  SeriesRule rule;
  section.read("device", rule.device);
  section.read("key", rule.key);
  for (const AgeRow& row : age_rows) {
    rule.*row.age = read_age(section, row.key);
  }
  rule.resolution = section.read_duration("resolution", rule.resolution, {0, 3'600'000});
  if (const auto error = twin::series::check(rule)) {
    section.fail(node, section.qualified(error->field) + " " + error->detail);
  }
  return rule;
}

std::string rule_text(const SeriesRule& rule) {
  std::string text =
      "    - device: " + quoted(rule.device) + "\n      key: " + quoted(rule.key) + "\n";
  for (const AgeRow& row : age_rows) {
    const Age& age = rule.*row.age;
    text += "      " + std::string(row.key) + ": " +
            (age ? format_duration(*age) : std::string(forever)) + "\n";
  }
  return text + "      resolution: " + format_duration(rule.resolution) + "\n";
}

}  // namespace

void read_twin(const std::string& name, const YAML::Node& node, TwinConfiguration& twin) {
  const Section section(name, "twin", node,
                        {"presence", "series_max", "series_per_device_max", "series_rules"});
  section.read("presence", twin.presence);
  twin.series_max = section.read_number("series_max", twin.series_max, {1, 100'000'000});
  twin.series_per_device_max =
      section.read_number("series_per_device_max", twin.series_per_device_max, {1, 10'000});
  const YAML::Node rules = section.value("series_rules");
  if (!rules) {
    return;
  }
  if (!rules.IsSequence() || rules.size() > series_rules_max) {
    section.fail(rules, section.qualified("series_rules") + " must be a list of at most " +
                            std::to_string(series_rules_max) + " rules");
  }
  twin.series_rules.clear();
  for (const auto& each : rules) {
    twin.series_rules.push_back(read_rule(name, twin.series_rules.size(), each));
  }
}

std::string twin_text(const TwinConfiguration& twin) {
  std::string text =
      "twin:\n"
      "  # publish the retained devices/{id}/presence\n"
      "  presence: " +
      std::string(twin.presence ? "true" : "false") +
      "\n  # series of all devices, some 250 bytes of memory each; and of one device\n"
      "  series_max: " +
      std::to_string(twin.series_max) +
      "\n  series_per_device_max: " + std::to_string(twin.series_per_device_max) +
      "\n  # The first rule that matches a device and a key says how long samples (raw) and their\n"
      "  # roll-ups by minute, hour and day are kept, by whole days, such as 30d or forever, each\n"
      "  # at least as long as the one before; resolution moves timestamps to its multiples.\n"
      "  series_rules:";
  if (twin.series_rules.empty()) {
    return text + " []\n";
  }
  text += "\n";
  for (const SeriesRule& rule : twin.series_rules) {
    text += rule_text(rule);
  }
  return text;
}

}  // namespace skerry::app
