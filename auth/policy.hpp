// Policy: a named policy ready to decide. Rules are asked in their order and the first that says
// something about the whole of what is asked decides; when none does, the built-in policy it is
// based on, and without one the answer is no.
//
// A subscription asks about all names its filter matches: a rule decides when it covers them all. A
// denial that touches only some of them lets the search go on, but what is allowed then is checked
// again for each delivery. "subscribe" in a rule means "receive" as well.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "auth/policy_source.hpp"
#include "auth/policy_template.hpp"

namespace skerry::auth {

/// Could one name be matched by both filters? O(length).
bool overlap(std::string_view left, std::string_view right) noexcept;

/// What became of one rule, for a human.
struct RuleTrace {
  std::string name;
  unsigned line = 0;
  Effect effect = Effect::allow;
  std::string topic;      ///< the template that was looked at last; empty when none was
  std::string expansion;  ///< what it stood for
  std::string outcome;    ///< "decides", or why not
  bool decides = false;
};
using Trace = std::vector<RuleTrace>;

class Policy {
 public:
  /// `source` has been checked: its templates parse. `keep` makes a text that lives as long as the
  /// process asks for decisions.
  template <typename Keep>
  Policy(PolicySource source, Keep keep) : source_(std::move(source)) {
    default_rule_ = keep("policy " + source_.name + ": no rule allows it");
    for (const PolicyRule& rule : source_.rules) {
      add(rule, keep("policy " + source_.name + ", rule " + rule.name + " (" + source_.file + ":" +
                     std::to_string(rule.line) + ")"));
    }
  }

  const PolicySource& source() const noexcept { return source_; }
  bool uses_device() const noexcept { return uses_device_; }

  struct Answer {
    plugin::Verdict verdict = plugin::Verdict::deny;
    const char* rule = nullptr;  ///< null: no rule has decided
    bool partial = false;        ///< a denial touches some of what was asked
  };
  /// `topic` as in Authorizer::decide. `trace`, unless null, gets a line for each rule.
  Answer decide(const PolicySubject& subject, plugin::Action action, std::string_view topic,
                Trace* trace) const;
  const char* default_rule() const noexcept { return default_rule_; }

 private:
  struct Rule {
    const PolicyRule* source = nullptr;
    const char* label = nullptr;
    unsigned actions = 0;  ///< bits by plugin::Action
    std::vector<TopicTemplate> topics;
  };
  enum class Reach : std::uint8_t { none, some, all };

  void add(const PolicyRule& rule, const char* label);
  static bool holds(const PolicyCondition& when, const PolicySubject& subject, std::string* why);
  static Reach reach(const Rule& rule, const PolicySubject& subject, plugin::Action action,
                     std::string_view topic, RuleTrace* trace);

  PolicySource source_;
  std::vector<Rule> rules_;
  const char* default_rule_ = nullptr;
  bool uses_device_ = false;
};

}  // namespace skerry::auth
