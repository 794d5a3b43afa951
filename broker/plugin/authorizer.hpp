// Authorizer: may this identity do this with this topic? Asked on every publish and subscribe and
// before a delivery that the subscription's own check does not cover.
#pragma once

#include <cstdint>
#include <string_view>

#include "plugin/identity.hpp"

namespace skerry::plugin {

enum class Action : std::uint8_t {
  publish,    ///< `topic` is a name; wills and retained messages too
  subscribe,  ///< `topic` is a filter without its `$share/group/`
  receive,    ///< `topic` is a name about to be delivered
};

enum class Verdict : std::uint8_t {
  deny,
  allow,
  /// For subscribe: every name the filter matches may be received, so deliveries need no check
  /// until the policy epoch changes.
  allow_and_covers,
};

struct Decision {
  Verdict verdict = Verdict::deny;
  const char* rule = "";  ///< static name of the rule that decided, for the log of denials
  /// Holds for this identity, action and topic as long as the epoch does not change.
  bool lasting = false;

  bool allowed() const noexcept { return verdict != Verdict::deny; }
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;

  /// Synchronous, never blocks, any core. `topic` has been validated.
  /// An exception means deny.
  virtual Decision decide(const Identity& identity, Action action,
                          std::string_view topic) const = 0;

  /// Grows whenever a decision may have changed; cached covers are then asked again. Any thread.
  virtual std::uint64_t epoch() const noexcept = 0;
};

}  // namespace skerry::plugin
