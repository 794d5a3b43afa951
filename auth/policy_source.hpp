// A named policy as it stands in a file: rules in order, each with the place it came from. Reading
// files is the business of app/, deciding by them that of policy.hpp.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/authorizer.hpp"
#include "plugin/identity.hpp"

namespace skerry::auth {

enum class Effect : std::uint8_t { allow, deny };

/// What a device must be for a rule to count; all of it. Services fulfil an empty one only.
struct PolicyCondition {
  std::vector<std::string> tags;  ///< has every one of them
  /// The attribute is one of the values.
  std::map<std::string, std::vector<std::string>> attributes;
  std::vector<std::string> models;  ///< its model is one of them; empty: any

  bool empty() const noexcept { return tags.empty() && attributes.empty() && models.empty(); }
};

struct PolicyRule {
  std::string name;
  Effect effect = Effect::allow;
  std::vector<plugin::Action> actions;
  std::vector<std::string> topics;  ///< templates, see policy_template.hpp
  PolicyCondition when;
  unsigned line = 0;
};

struct PolicySource {
  std::string name;
  std::string description;
  /// A built-in policy that is asked when no rule has decided; nullopt: then it is denied.
  std::optional<plugin::PolicyKind> base;
  std::vector<PolicyRule> rules;
  std::string file;
  unsigned line = 0;
};

/// "device", "open", "service-read", "service-write"; nullopt for other names.
std::optional<plugin::PolicyKind> builtin_policy(std::string_view name) noexcept;
/// The reverse; `name` for PolicyKind::named.
std::string policy_text(plugin::PolicyKind kind, std::string_view name);

/// `[a-z0-9][a-z0-9._-]{0,63}`, and not the name of a built-in one.
bool is_valid_policy_name(std::string_view name) noexcept;

/// Gives the identity the policy of this name, built in or named.
void set_policy(plugin::Identity& identity, std::string_view name);

/// "publish", "subscribe", "receive"
std::string_view name_of(plugin::Action action) noexcept;
std::optional<plugin::Action> action_of(std::string_view name) noexcept;

}  // namespace skerry::auth
