#include "auth/device_policy.hpp"

#include <array>
#include <cstddef>
#include <string>

namespace skerry::auth {

namespace {

using plugin::Action;
using plugin::Decision;
using plugin::Identity;
using plugin::IdentityKind;
using plugin::PolicyKind;
using plugin::Verdict;

constexpr std::string_view device_tree = "devices/";

/// The levels behind `devices/{id}/`. Deep topics are counted, but only the first are kept.
struct Levels {
  std::array<std::string_view, 5> at{};
  std::size_t count = 0;
  std::string_view last;

  explicit Levels(std::string_view text) noexcept {
    for (;;) {
      const std::size_t slash = text.find('/');
      last = text.substr(0, slash);
      if (count < at.size()) {
        at[count] = last;
      }
      ++count;
      if (slash == std::string_view::npos) {
        return;
      }
      text.remove_prefix(slash + 1);
    }
  }

  bool has(std::string_view first) const noexcept { return at[0] == first; }
};

/// Cuts `devices/{id}/`; false when the topic does not begin so. `rest` may be empty.
bool split_device_topic(std::string_view topic, std::string_view& id,
                        std::string_view& rest) noexcept {
  if (!topic.starts_with(device_tree)) {
    return false;
  }
  topic.remove_prefix(device_tree.size());
  const std::size_t slash = topic.find('/');
  if (slash == std::string_view::npos) {
    return false;
  }
  id = topic.substr(0, slash);
  rest = topic.substr(slash + 1);
  return true;
}

/// The row of the table that only the broker publishes and that this topic is on; nullptr if none.
const char* broker_row(const Levels& levels) noexcept {
  const bool is_answer = levels.last == "accepted" || levels.last == "rejected";
  if (levels.has("presence")) {
    return "broker only: presence";
  }
  if (levels.has("twin") && (is_answer || levels.last == "delta" || levels.last == "documents")) {
    return "broker only: answers and deltas of the twin";
  }
  if (levels.has("commands") && levels.last == "request") {
    return "broker only: command requests";
  }
  if (levels.has("certificate") && is_answer) {
    return "broker only: answers to certificate requests";
  }
  if (levels.has("jobs") &&
      (is_answer || levels.last == "notify" || levels.last == "notify-next")) {
    return "broker only: notices and answers of jobs";
  }
  return nullptr;
}

const char* twin_row(const Levels& levels) noexcept {
  if (levels.count == 2 && levels.last == "get") {
    return "twin/get";
  }
  if (levels.count == 2 && levels.last == "update") {
    return "twin/update";
  }
  if (levels.count != 4 || levels.at[1] != "name" || levels.at[2].empty()) {
    return nullptr;
  }
  if (levels.last == "get") {
    return "twin/name/{name}/get";
  }
  return levels.last == "update" ? "twin/name/{name}/update" : nullptr;
}

const char* job_row(const Levels& levels) noexcept {
  if (levels.count == 2) {
    return levels.last == "get"          ? "jobs/get"
           : levels.last == "start-next" ? "jobs/start-next"
                                         : nullptr;
  }
  if (levels.count != 3 || levels.at[1].empty()) {
    return nullptr;
  }
  return levels.last == "get"      ? "jobs/{job}/get"
         : levels.last == "update" ? "jobs/{job}/update"
                                   : nullptr;
}

/// The row of the table that a device publishes and that this topic is on; nullptr if none.
const char* device_row(const Levels& levels) noexcept {
  if (levels.has("telemetry")) {
    if (levels.count == 1) {
      return "telemetry";
    }
    return levels.count != 2        ? nullptr
           : levels.last == "senml" ? "telemetry/senml"
           : levels.last == "cbor"  ? "telemetry/cbor"
                                    : nullptr;
  }
  if (levels.has("events")) {
    return levels.count == 2 && !levels.last.empty() ? "events/{name}" : nullptr;
  }
  if (levels.has("twin")) {
    return twin_row(levels);
  }
  if (levels.has("commands")) {
    const bool is_response =
        levels.count == 3 && !levels.at[1].empty() && levels.last == "response";
    return is_response ? "commands/{request}/response" : nullptr;
  }
  if (levels.has("jobs")) {
    return job_row(levels);
  }
  if (levels.has("certificate") && levels.count == 2 && levels.last == "renew") {
    return "certificate/renew";
  }
  return nullptr;
}

/// What a service may publish to any device: commands and desired state.
const char* service_row(const Levels& levels) noexcept {
  if (levels.has("commands") && levels.count == 3 && !levels.at[1].empty() &&
      levels.last == "request") {
    return "service: commands/{request}/request";
  }
  const char* row = levels.has("twin") && levels.last == "update" ? twin_row(levels) : nullptr;
  return row == nullptr ? nullptr : "service: twin update";
}

Decision deny(const char* rule) noexcept {
  return {Verdict::deny, rule};
}
Decision allow(const char* rule) noexcept {
  return {Verdict::allow, rule};
}

Decision allow_reading(Action action, const char* rule) noexcept {
  return {action == Action::subscribe ? Verdict::allow_and_covers : Verdict::allow, rule};
}

Decision decide_device_publish(std::string_view own_rest) noexcept {
  const Levels levels{own_rest};
  if (const char* row = device_row(levels)) {
    return allow(row);
  }
  const char* row = broker_row(levels);
  return deny(row != nullptr ? row : "no topic that a device publishes");
}

Decision decide_device(const Identity& identity, Action action, std::string_view topic) noexcept {
  // An anonymous client may be called like a device; it is none.
  if (identity.kind != IdentityKind::device || identity.name.empty()) {
    return deny("policy device needs a device");
  }
  std::string_view id;
  std::string_view rest;
  if (!split_device_topic(topic, id, rest)) {
    return deny("outside devices/{id}/");
  }
  if (id != identity.name) {
    return deny("topics of other devices");
  }
  if (action == Action::publish) {
    return decide_device_publish(rest);
  }
  // Wildcards can only stand behind the device's own id: the filter matches nothing else.
  return allow_reading(action, "all of devices/{id}/");
}

Decision decide_service(PolicyKind policy, Action action, std::string_view topic) noexcept {
  if (action != Action::publish) {
    return topic.starts_with(device_tree) ? allow_reading(action, "service: all of devices/#")
                                          : deny("outside devices/#");
  }
  if (policy != PolicyKind::service_write) {
    return deny("policy service-read does not publish");
  }
  std::string_view id;
  std::string_view rest;
  if (!split_device_topic(topic, id, rest) || id.empty()) {
    return deny("outside devices/{id}/");
  }
  const char* row = service_row(Levels{rest});
  return row != nullptr ? allow(row) : deny("no topic that a service publishes");
}

Decision decide_open(Action action, std::string_view topic) noexcept {
  if (action != Action::publish) {
    return allow_reading(action, "open");
  }
  const char* row = reserved_row(topic);
  return row != nullptr ? deny(row) : allow("open");
}

/// `$share/{group}/{filter}` is judged by its filter.
std::string_view without_group(std::string_view filter) noexcept {
  constexpr std::string_view share = "$share/";
  if (!filter.starts_with(share)) {
    return filter;
  }
  const std::size_t slash = filter.find('/', share.size());
  return slash == std::string_view::npos ? filter : filter.substr(slash + 1);
}

}  // namespace

const char* reserved_row(std::string_view topic) noexcept {
  if (topic.starts_with('$')) {
    return "topics that begin with $";
  }
  std::string_view id;
  std::string_view rest;
  return split_device_topic(topic, id, rest) ? broker_row(Levels{rest}) : nullptr;
}

Decision DevicePolicy::decide(const Identity& identity, Action action,
                              std::string_view topic) const {
  if (action == Action::subscribe) {
    topic = without_group(topic);
  }
  switch (identity.policy) {
    case PolicyKind::device:
      return decide_device(identity, action, topic);
    case PolicyKind::open:
      return decide_open(action, topic);
    case PolicyKind::service_read:
    case PolicyKind::service_write:
      return decide_service(identity.policy, action, topic);
    case PolicyKind::named:
      break;
  }
  return deny("unknown policy");
}

}  // namespace skerry::auth
