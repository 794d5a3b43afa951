#include "plan.hpp"

#include <algorithm>

namespace skerry::bench {
namespace {

constexpr std::uint32_t sites = 10;
constexpr std::uint32_t lines = 7;

std::string number(std::uint32_t value) {
  return std::to_string(value);
}

/// Takes the first level off.
std::string_view next_level(std::string_view& rest) {
  const std::size_t slash = rest.find('/');
  const std::string_view level = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  return level;
}

std::string wildcard_filter(std::uint32_t subscriber, std::uint32_t publishers) {
  const std::uint32_t target = subscriber % publishers;
  switch (subscriber % 4) {
    case 0:
      return "bench/+/line-" + number(target % lines) + "/+/value";
    case 1:
      return "bench/site-" + number(target % sites) + "/#";
    case 2:
      return "bench/+/+/cell-" + number(target) + "/value";
    default:
      return "bench/site-" + number(target % sites) + "/line-" + number(target % lines) + "/#";
  }
}

}  // namespace

bool matches(std::string_view filter, std::string_view topic) {
  for (;;) {
    const bool filter_ends = filter.find('/') == std::string_view::npos;
    const bool topic_ends = topic.find('/') == std::string_view::npos;
    const std::string_view wanted = next_level(filter);
    if (wanted == "#") {
      return true;
    }
    const std::string_view level = next_level(topic);
    if (wanted != "+" && wanted != level) {
      return false;
    }
    if (filter_ends || topic_ends) {
      return filter_ends == topic_ends || (topic_ends && filter == "#");
    }
  }
}

std::string topic_of(const Plan& plan, std::uint32_t publisher, const std::string& client_id) {
  switch (plan.shape) {
    case Shape::fan_in:
      return "bench/" + number(publisher % plan.subscribers) + "/" + number(publisher);
    case Shape::fan_out:
      return "bench/all/0";
    case Shape::pairs:
      return "bench/" + number(publisher) + "/" + number(publisher);
    case Shape::shared:
      return "bench/shared/" + number(publisher);
    case Shape::wildcard:
      return "bench/site-" + number(publisher % sites) + "/line-" + number(publisher % lines) +
             "/cell-" + number(publisher) + "/value";
    case Shape::telemetry:
      return "devices/" + client_id + "/telemetry";
  }
  return {};
}

std::string filter_of(const Plan& plan, std::uint32_t subscriber) {
  switch (plan.shape) {
    case Shape::fan_in:
      return "bench/" + number(subscriber) + "/+";
    case Shape::fan_out:
      return "bench/all/0";
    case Shape::pairs:
      return "bench/" + number(subscriber) + "/" + number(subscriber);
    case Shape::shared:
      return "$share/bench/bench/shared/+";
    case Shape::wildcard:
      return wildcard_filter(subscriber, plan.publishers);
    case Shape::telemetry:
      break;
  }
  return {};
}

std::vector<std::uint32_t> deliveries_of(const Plan& plan) {
  switch (plan.shape) {
    case Shape::fan_out:
      return std::vector<std::uint32_t>(plan.publishers, plan.subscribers);
    case Shape::fan_in:
    case Shape::pairs:
    case Shape::shared:
    case Shape::telemetry:
      return std::vector<std::uint32_t>(plan.publishers, 1);
    case Shape::wildcard:
      break;
  }
  std::vector<std::string> filters;
  for (std::uint32_t subscriber = 0; subscriber < plan.subscribers; ++subscriber) {
    filters.push_back(filter_of(plan, subscriber));
  }
  std::vector<std::uint32_t> deliveries;
  for (std::uint32_t publisher = 0; publisher < plan.publishers; ++publisher) {
    const std::string topic = topic_of(plan, publisher, {});
    deliveries.push_back(static_cast<std::uint32_t>(
        std::count_if(filters.begin(), filters.end(),
                      [&topic](const std::string& filter) { return matches(filter, topic); })));
  }
  return deliveries;
}

}  // namespace skerry::bench
