// NamedPolicies: the Authorizer of the server: the built-in policies, and those that the operator
// has written (ADR 0014). What only the broker publishes stays refused whatever a rule says.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "auth/device_policy.hpp"
#include "auth/policy.hpp"
#include "auth/registry.hpp"

namespace skerry::auth {

/// Thread-safe; one object serves all cores. What the registry knows of a device is asked with each
/// decision; after a device has changed, its owner's sessions must be judged again, since covers
/// were given for what it was. A decision by a named policy takes two shared locks
/// for a moment (the set of policies, the registry); built-in ones take none.
class NamedPolicies final : public plugin::Authorizer {
 public:
  /// The device of an id, null when it is not registered. Any thread, never blocks.
  using Lookup = std::function<DevicePointer(std::string_view id)>;

  explicit NamedPolicies(Lookup lookup = {});

  /// Before the first decision, when it was not known at the construction.
  void set_lookup(Lookup lookup) { lookup_ = std::move(lookup); }

  /// Takes over a checked set of policies in place of the one before; the epoch grows. Any thread.
  void replace(std::vector<PolicySource> sources);

  plugin::Decision decide(const plugin::Identity& identity, plugin::Action action,
                          std::string_view topic) const override;
  std::uint64_t epoch() const noexcept override { return builtin_.epoch(); }
  void advance_epoch() noexcept { builtin_.advance_epoch(); }

  bool contains(std::string_view name) const;
  /// Policies by name. Values; any thread.
  std::vector<PolicySource> list() const;
  std::optional<PolicySource> find(std::string_view name) const;

  struct Explanation {
    plugin::Decision decision;
    std::string policy;  ///< that was asked
    std::string file;    ///< where it stands; empty for a built-in one
    unsigned line = 0;   ///< of the rule that decided, otherwise of the policy
    Trace rules;         ///< empty for a built-in one
  };
  /// The same answer as decide(), with how it came about.
  Explanation explain(const plugin::Identity& identity, plugin::Action action,
                      std::string_view topic) const;

 private:
  using Set = std::map<std::string, std::unique_ptr<const Policy>, std::less<>>;

  std::shared_ptr<const Set> current() const;
  const char* keep(std::string text);
  plugin::Decision judge(const Policy& policy, const plugin::Identity& identity,
                         plugin::Action action, std::string_view topic, Trace* trace) const;

  DevicePolicy builtin_;
  Lookup lookup_;
  mutable std::shared_mutex mutex_;
  std::shared_ptr<const Set> set_ = std::make_shared<const Set>();
  std::mutex side_mutex_;
  /// Rule labels that decisions point to. They stay for good: few, and the same after a reload.
  std::set<std::string> labels_;
};

}  // namespace skerry::auth
