#include "auth/policy_source.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.hpp"

namespace skerry::auth {
namespace {

using plugin::Action;
using plugin::PolicyKind;

constexpr std::array builtin_policies{
    std::pair{std::string_view{"device"}, PolicyKind::device},
    std::pair{std::string_view{"open"}, PolicyKind::open},
    std::pair{std::string_view{"service-read"}, PolicyKind::service_read},
    std::pair{std::string_view{"service-write"}, PolicyKind::service_write},
};

}  // namespace

std::optional<PolicyKind> builtin_policy(std::string_view name) noexcept {
  for (const auto& [known, kind] : builtin_policies) {
    if (known == name) {
      return kind;
    }
  }
  return std::nullopt;
}

std::string policy_text(PolicyKind kind, std::string_view name) {
  for (const auto& [known, builtin] : builtin_policies) {
    if (builtin == kind) {
      return std::string{known};
    }
  }
  return std::string{name};
}

bool is_valid_policy_name(std::string_view name) noexcept {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= policy_name_bytes_max && is_plain(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; }) &&
         !builtin_policy(name);
}

void set_policy(plugin::Identity& identity, std::string_view name) {
  const auto builtin = builtin_policy(name);
  identity.policy = builtin.value_or(PolicyKind::named);
  identity.policy_name = builtin ? std::string_view{} : name;
}

std::string_view name_of(Action action) noexcept {
  switch (action) {
    case Action::publish:
      return "publish";
    case Action::subscribe:
      return "subscribe";
    case Action::receive:
      return "receive";
  }
  return {};
}

std::optional<Action> action_of(std::string_view name) noexcept {
  for (const Action action : {Action::publish, Action::subscribe, Action::receive}) {
    if (name_of(action) == name) {
      return action;
    }
  }
  return std::nullopt;
}

}  // namespace skerry::auth
