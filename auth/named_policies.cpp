#include "auth/named_policies.hpp"

#include <utility>

#include "mqtt/topic.hpp"

namespace skerry::auth {
namespace {

using plugin::Action;
using plugin::Decision;
using plugin::Identity;
using plugin::IdentityKind;
using plugin::PolicyKind;
using plugin::Verdict;

}  // namespace

NamedPolicies::NamedPolicies(Lookup lookup) : lookup_(std::move(lookup)) {}

const char* NamedPolicies::keep(std::string text) {
  const std::lock_guard lock{side_mutex_};
  return labels_.insert(std::move(text)).first->c_str();
}

void NamedPolicies::replace(std::vector<PolicySource> sources) {
  auto set = std::make_shared<Set>();
  for (PolicySource& source : sources) {
    const std::string name = source.name;
    auto policy = std::make_unique<const Policy>(
        std::move(source), [this](std::string text) { return keep(std::move(text)); });
    set->insert_or_assign(name, std::move(policy));
  }
  {
    const std::unique_lock lock{mutex_};
    set_ = std::move(set);
  }
  builtin_.advance_epoch();
}

std::shared_ptr<const NamedPolicies::Set> NamedPolicies::current() const {
  const std::shared_lock lock{mutex_};
  return set_;
}

Decision NamedPolicies::judge(const Policy& policy, const Identity& identity, Action action,
                              std::string_view topic, Trace* trace) const {
  if (action == Action::subscribe) {
    if (const auto shared = mqtt::split_shared(topic)) {
      topic = shared->filter;
    }
  }
  const char* reserved = action == Action::publish ? reserved_row(topic) : nullptr;
  DevicePointer device;
  PolicySubject subject{identity.kind, identity.name, nullptr};
  if (identity.kind == IdentityKind::device && policy.uses_device() && lookup_) {
    device = lookup_(identity.name);
    subject.device = device.get();
  }
  Policy::Answer answer;
  if (reserved == nullptr || trace != nullptr) {
    answer = policy.decide(subject, action, topic, trace);
  }
  // What is asked of the registry may change without an epoch.
  const bool lasting = !policy.uses_device();
  if (answer.rule != nullptr && reserved == nullptr) {
    return {answer.verdict, answer.rule, lasting};
  }
  if (!policy.source().base) {
    return {Verdict::deny, reserved != nullptr ? reserved : policy.default_rule(), lasting};
  }
  // The built-in policy keeps its own rows; a service may send commands by it.
  Identity as_builtin = identity;
  as_builtin.policy = *policy.source().base;
  Decision decision = builtin_.decide(as_builtin, action, topic);
  if (decision.verdict == Verdict::allow_and_covers && answer.partial) {
    decision.verdict = Verdict::allow;
  }
  decision.lasting = lasting;
  return decision;
}

Decision NamedPolicies::decide(const Identity& identity, Action action,
                               std::string_view topic) const {
  if (identity.policy != PolicyKind::named) {
    Decision decision = builtin_.decide(identity, action, topic);
    decision.lasting = true;  // the identity and the topic are all that it looks at
    return decision;
  }
  const auto set = current();
  const auto found = set->find(identity.policy_name);
  if (found == set->end()) {
    return {Verdict::deny, "the policy is not defined"};
  }
  return judge(*found->second, identity, action, topic, nullptr);
}

bool NamedPolicies::contains(std::string_view name) const {
  return current()->contains(name);
}

std::vector<PolicySource> NamedPolicies::list() const {
  std::vector<PolicySource> sources;
  const auto set = current();
  for (const auto& [name, policy] : *set) {
    sources.push_back(policy->source());
  }
  return sources;
}

std::optional<PolicySource> NamedPolicies::find(std::string_view name) const {
  const auto set = current();
  const auto found = set->find(name);
  return found == set->end() ? std::nullopt : std::optional{found->second->source()};
}

NamedPolicies::Explanation NamedPolicies::explain(const Identity& identity, Action action,
                                                  std::string_view topic) const {
  Explanation explanation;
  explanation.policy = policy_text(identity.policy, identity.policy_name);
  if (identity.policy != PolicyKind::named) {
    explanation.decision = builtin_.decide(identity, action, topic);
    return explanation;
  }
  const auto set = current();
  const auto found = set->find(identity.policy_name);
  if (found == set->end()) {
    explanation.decision = {Verdict::deny, "the policy is not defined"};
    return explanation;
  }
  const Policy& policy = *found->second;
  explanation.decision = judge(policy, identity, action, topic, &explanation.rules);
  explanation.file = policy.source().file;
  explanation.line = policy.source().line;
  for (const RuleTrace& rule : explanation.rules) {
    explanation.line = rule.decides ? rule.line : explanation.line;
  }
  return explanation;
}

}  // namespace skerry::auth
