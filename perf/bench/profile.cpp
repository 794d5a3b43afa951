#include "profile.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "clock.hpp"
#include "failure.hpp"
#include "plan.hpp"

namespace skerry::bench {
namespace {

constexpr std::uintmax_t file_bytes_max = 1024 * 1024;
constexpr std::size_t groups_max = 100;
constexpr std::uint32_t clients_max = 1'000'000;
constexpr std::size_t payload_bytes_max = 16 * 1024 * 1024;
constexpr std::size_t filters_max = 100;

[[noreturn]] void refuse(const YAML::Node& node, const std::string& sentence) {
  throw Failure("line " + std::to_string(node.Mark().line + 1) + ": " + sentence);
}

void only(const YAML::Node& node, const std::set<std::string>& known) {
  if (!node.IsMap()) {
    refuse(node, "a mapping is expected");
  }
  for (const auto& entry : node) {
    const auto key = entry.first.as<std::string>();
    if (known.count(key) == 0) {
      std::string names;
      for (const std::string& name : known) {
        names += (names.empty() ? "" : ", ") + name;
      }
      refuse(entry.first, "`" + key + "` is not known here; there are " + names);
    }
  }
}

template <typename Number>
Number number_in(const YAML::Node& node, Number least, Number most) {
  try {
    const auto value = node.as<Number>();
    if (value >= least && value <= most) {
      return value;
    }
  } catch (const YAML::Exception&) {
    // The same sentence as for one that is out of range.
  }
  refuse(node,
         "a number from " + std::to_string(least) + " to " + std::to_string(most) + " is expected");
}

std::int64_t duration_in(const YAML::Node& node) {
  try {
    return duration_of(node.as<std::string>());
  } catch (const YAML::Exception&) {
    refuse(node, "a duration such as 10s is expected");
  } catch (const Failure& failure) {
    refuse(node, failure.what());
  }
}

void read_publish(const YAML::Node& node, Group& group) {
  only(node, {"topic", "payload", "qos", "retain", "interval"});
  if (!node["topic"] || !node["interval"]) {
    refuse(node, "`publish` needs `topic` and `interval`");
  }
  group.topic = node["topic"].as<std::string>();
  group.interval = duration_in(node["interval"]);
  group.qos = node["qos"] ? number_in(node["qos"], 0, 2) : 0;
  group.retain = node["retain"] && node["retain"].as<bool>();
  if (const YAML::Node payload = node["payload"]; payload && payload.Scalar() != "telemetry") {
    group.payload_bytes = number_in(payload, payload_bytes_min, payload_bytes_max);
  }
}

Group read_group(const YAML::Node& node) {
  only(node, {"name", "count", "publish", "subscribe", "qos", "session_expiry", "reconnect"});
  Group group;
  if (!node["name"]) {
    refuse(node, "a group needs a `name`");
  }
  group.name = node["name"].as<std::string>();
  group.count = node["count"] ? number_in(node["count"], std::uint32_t{1}, clients_max) : 1;
  if (node["publish"]) {
    read_publish(node["publish"], group);
  }
  if (const YAML::Node filters = node["subscribe"]) {
    if (!filters.IsSequence() || filters.size() > filters_max) {
      refuse(filters, "a list of at most " + std::to_string(filters_max) + " filters is expected");
    }
    group.filters = filters.as<std::vector<std::string>>();
  }
  group.subscription_qos = node["qos"] ? number_in(node["qos"], 0, 2) : 0;
  if (node["session_expiry"]) {
    group.session_expiry = static_cast<std::uint32_t>(duration_in(node["session_expiry"]) / second);
  }
  group.reconnect = node["reconnect"] ? duration_in(node["reconnect"]) : 0;
  return group;
}

}  // namespace

std::uint32_t Profile::clients() const noexcept {
  std::uint32_t count = 0;
  for (const Group& group : groups) {
    count += group.count;
  }
  return count;
}

std::int64_t duration_of(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::int64_t factor = unit == "ms"  ? millisecond
                              : unit == "s" ? second
                              : unit == "m" ? 60 * second
                              : unit == "h" ? 3600 * second
                                            : 0;
  constexpr std::int64_t year = std::int64_t{366} * 24 * 3600 * second;
  if (error != std::errc() || factor == 0 || value <= 0 || value > year / factor) {
    throw Failure("`" + text + "` is no duration: write 500ms, 10s, 5m or 1h");
  }
  return value * factor;
}

Profile read_profile(const std::string& file) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error) {
    throw Failure(file + ": " + error.message());
  }
  if (size > file_bytes_max) {
    throw Failure(file + ": larger than 1 MiB");
  }
  try {
    const YAML::Node root = YAML::LoadFile(file);
    only(root, {"groups"});
    const YAML::Node groups = root["groups"];
    if (!groups || !groups.IsSequence() || groups.size() == 0 || groups.size() > groups_max) {
      throw Failure("`groups` is a list of 1 to " + std::to_string(groups_max));
    }
    Profile profile;
    std::uint64_t clients = 0;
    for (const YAML::Node& node : groups) {
      profile.groups.push_back(read_group(node));
      clients += profile.groups.back().count;
      if (clients > clients_max) {
        refuse(node, "more than " + std::to_string(clients_max) + " clients in all");
      }
    }
    return profile;
  } catch (const YAML::Exception& exception) {
    throw Failure(file + ": " + exception.what());
  } catch (const Failure& failure) {
    throw Failure(file + ": " + failure.what());
  }
}

}  // namespace skerry::bench
