// DevicePolicy: the built-in policy, which is the topic table of ARCHITECTURE.md as code. Asked on
// each publish, so it decides by string views alone: no allocation, no lock, no clock.
//
// A device publishes what the table marks "device" below `devices/{its id}/` and receives
// everything below that. What the table marks "broker" is published by no client under any policy,
// but for command requests, which the policy service_write may send.
#pragma once

#include <atomic>

#include "plugin/authorizer.hpp"

namespace skerry::auth {

/// The name of the rule that keeps a topic for the broker: rows of the table that it alone
/// publishes, and what begins with $. Null when a client may publish it if a policy says so.
const char* reserved_row(std::string_view topic) noexcept;

/// Thread-safe; one object serves all cores.
class DevicePolicy : public plugin::Authorizer {
 public:
  /// For subscribe, a filter that still has its `$share/group/` is judged by what follows.
  plugin::Decision decide(const plugin::Identity& identity, plugin::Action action,
                          std::string_view topic) const override;

  std::uint64_t epoch() const noexcept override { return epoch_.load(std::memory_order_acquire); }
  /// Lets covers be asked again, after identities or rules have changed. Any thread.
  void advance_epoch() noexcept { epoch_.fetch_add(1, std::memory_order_acq_rel); }

 private:
  std::atomic<std::uint64_t> epoch_{1};
};

}  // namespace skerry::auth
