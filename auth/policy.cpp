#include "auth/policy.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "mqtt/topic.hpp"

namespace skerry::auth {
namespace {

using plugin::Action;
using plugin::Verdict;

constexpr unsigned bit(Action action) noexcept {
  return 1U << static_cast<unsigned>(action);
}

std::string_view take_level(std::string_view& rest, bool& more) noexcept {
  const std::size_t slash = rest.find('/');
  const std::string_view level = rest.substr(0, slash);
  more = slash != std::string_view::npos;
  rest.remove_prefix(more ? slash + 1 : rest.size());
  return level;
}

bool is_wildcard(std::string_view level) noexcept {
  return level == "+" || level == "#";
}

}  // namespace

bool overlap(std::string_view left, std::string_view right) noexcept {
  bool left_more = true;
  bool right_more = true;
  for (bool first = true; left_more && right_more; first = false) {
    const std::string_view a = take_level(left, left_more);
    const std::string_view b = take_level(right, right_more);
    if (first &&
        ((is_wildcard(a) && b.starts_with('$')) || (is_wildcard(b) && a.starts_with('$')))) {
      return false;  // [MQTT-4.7.2-1]
    }
    if (a == "#" || b == "#") {
      return true;
    }
    if (a != "+" && b != "+" && a != b) {
      return false;
    }
  }
  // A filter that goes on as "/#" also matches where the other one ends.
  return left_more == right_more || (left_more ? left : right) == "#";
}

void Policy::add(const PolicyRule& rule, const char* label) {
  Rule made;
  made.source = &rule;
  made.label = label;
  for (const Action action : rule.actions) {
    made.actions |= bit(action);
    if (action == Action::subscribe) {
      made.actions |= bit(Action::receive);
    }
  }
  for (const std::string& topic : rule.topics) {
    auto parsed = TopicTemplate::parse(topic);
    SKERRY_ASSERT(parsed.has_value());
    uses_device_ = uses_device_ || parsed->uses_device();
    made.topics.push_back(*std::move(parsed));
  }
  uses_device_ = uses_device_ || !rule.when.empty();
  rules_.push_back(std::move(made));
}

bool Policy::holds(const PolicyCondition& when, const PolicySubject& subject, std::string* why) {
  if (when.empty()) {
    return true;
  }
  const auto refuse = [&](std::string sentence) {
    if (why != nullptr) {
      *why = std::move(sentence);
    }
    return false;
  };
  const Device* device = subject.device;
  if (device == nullptr) {
    return refuse("its condition is about devices, and this is none");
  }
  for (const std::string& tag : when.tags) {
    if (!std::binary_search(device->tags.begin(), device->tags.end(), tag)) {
      return refuse("the device has no tag " + tag);
    }
  }
  for (const auto& [name, values] : when.attributes) {
    const auto found = device->attributes.find(name);
    if (found == device->attributes.end()) {
      return refuse("the device has no attribute " + name);
    }
    if (std::find(values.begin(), values.end(), found->second) == values.end()) {
      return refuse("the device's attribute " + name + " is " + found->second);
    }
  }
  if (!when.models.empty() &&
      std::find(when.models.begin(), when.models.end(), device->model) == when.models.end()) {
    return refuse("the device's model is " +
                  (device->model.empty() ? std::string{"not known"} : device->model));
  }
  return true;
}

Policy::Reach Policy::reach(const Rule& rule, const PolicySubject& subject, Action action,
                            std::string_view topic, RuleTrace* trace) {
  const bool is_filter = action == Action::subscribe;
  const bool denies = rule.source->effect == Effect::deny;
  Reach most = Reach::none;
  std::string filter;
  std::string why;
  for (const TopicTemplate& candidate : rule.topics) {
    std::string_view wanted = candidate.text();
    if (candidate.has_placeholders()) {
      if (trace == nullptr && !is_filter && !topic.starts_with(candidate.prefix())) {
        continue;
      }
      if (!candidate.expand(subject, filter, trace != nullptr ? &why : nullptr)) {
        if (trace != nullptr && trace->topic.empty()) {
          trace->topic = candidate.text();
          trace->outcome = why;
        }
        // What may have been meant by a denial is denied: a missing value opens nothing.
        if (!denies || !candidate.is_about(subject) ||
            (!is_filter && !topic.starts_with(candidate.prefix()))) {
          continue;
        }
        candidate.expand_widely(subject, filter);
      }
      wanted = filter;
    }
    const Reach found = !is_filter ? (mqtt::matches(wanted, topic) ? Reach::all : Reach::none)
                        : mqtt::covers(wanted, topic) ? Reach::all
                        : overlap(wanted, topic)      ? Reach::some
                                                      : Reach::none;
    if (trace != nullptr && (found > most || trace->topic.empty())) {
      trace->topic = candidate.text();
      trace->expansion = wanted;
      trace->outcome = "its topics do not match";
    }
    most = std::max(most, found);
    if (most == Reach::all) {
      break;
    }
  }
  return most;
}

Policy::Answer Policy::decide(const PolicySubject& subject, Action action, std::string_view topic,
                              Trace* trace) const {
  Answer answer;
  for (const Rule& rule : rules_) {
    RuleTrace line;
    RuleTrace* traced = nullptr;
    if (trace != nullptr) {
      traced = &line;
      line = {rule.source->name, rule.source->line, rule.source->effect, {}, {}, {}, false};
    }
    const bool denies = rule.source->effect == Effect::deny;
    // What must not be received is a hole in what may be subscribed.
    const bool only_receive = action == Action::subscribe && denies &&
                              (rule.actions & bit(Action::subscribe)) == 0 &&
                              (rule.actions & bit(Action::receive)) != 0;
    Reach reached = Reach::none;
    if ((rule.actions & bit(action)) == 0 && !only_receive) {
      line.outcome = "it is not about this action";
    } else if (holds(rule.source->when, subject, traced != nullptr ? &line.outcome : nullptr)) {
      reached = reach(rule, subject, action, topic, traced);
    }
    const bool decides = reached == Reach::all && !only_receive;
    if (reached != Reach::none && !decides) {
      answer.partial = answer.partial || denies;
      line.outcome = denies ? "it denies a part of the filter: each delivery is checked"
                            : "it does not cover the whole filter";
    }
    if (decides) {
      line.outcome = "decides";
      line.decides = true;
      answer.rule = rule.label;
      if (!denies) {
        answer.verdict = action == Action::subscribe && !answer.partial ? Verdict::allow_and_covers
                                                                        : Verdict::allow;
      }
    }
    if (trace != nullptr) {
      trace->push_back(std::move(line));
    }
    if (decides) {
      return answer;
    }
  }
  return answer;
}

}  // namespace skerry::auth
