// RefusalTable: keeps a flood of refusals from flooding the audit. The first of an actor by a rule
// is recorded at once, the rest of the window is counted and summed up in one record at its end:
// "…; and 4,312 more in 60 s". Pure bookkeeping under an own lock; time is an argument.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/token_bucket.hpp"
#include "base/limits.hpp"
#include "base/now.hpp"
#include "plugin/audit.hpp"

namespace skerry::auth {

/// Thread-safe; a refusal that is only counted costs a hash of its texts under the lock and
/// allocates nothing.
class RefusalTable {
 public:
  /// Is this refusal to be recorded now? Otherwise it has been counted.
  bool admit(const plugin::Refusal& refusal, SteadyTime now);

  /// The records that sum up windows which have ended by `now`, or all that are open. O(table).
  std::vector<plugin::AuditEvent> take_summaries(SteadyTime now, bool all = false);

  /// Refusals so far that got no record of their own.
  std::uint64_t summed_up() const;

 private:
  struct Window {
    plugin::AuditEvent event;  ///< the first of the window
    SteadyTime ends;
    std::uint64_t more = 0;
  };

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Window> windows_;
  std::string key_;             ///< scratch
  std::uint64_t overflow_ = 0;  ///< beyond audit_refusals_told_apart_max
  SteadyTime overflow_ends_{};
  std::uint64_t summed_up_ = 0;
  TokenBucket at_once_{audit_refusals_each_second, audit_refusals_burst};
};

}  // namespace skerry::auth
