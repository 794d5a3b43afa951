// Reading the audit: pages by filter, and the walk along the chain that finds what was changed,
// left out or put in. For the reader pool; a call does a bounded piece of work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "auth/audit_record.hpp"
#include "storage/kv_store.hpp"

namespace skerry::auth {

struct AuditFilter {
  std::optional<WallTime> from;  ///< inclusive
  std::optional<WallTime> to;    ///< exclusive
  std::string actor;             ///< empty: any; with '*' at the end: those that begin so
  std::string action;
  std::string object;
};

struct AuditPage {
  storage::Status status;
  std::vector<StoredAudit> records;
  /// Where to go on; nullopt at the end. May be there although fewer than the limit were found.
  std::optional<std::uint64_t> next;
};

/// Records in the order of the chain, or the newest first when `newest_first`, starting at
/// `start` (included; nullopt: at the end where it begins). At most `limit` records out of
/// audit_visits_max looked at. Records that cannot be read are left out here; verify finds them.
AuditPage read_audit_page(const storage::KvStore& store, const AuditFilter& filter,
                          std::optional<std::uint64_t> start, bool newest_first, std::size_t limit);

/// Walks the chain once, slice by slice.
class AuditVerifier {
 public:
  /// `head`: the last durable record as the running server knows it; the walk must come to it.
  AuditVerifier(const storage::KvStore& store, AuditHead head)
      : store_(store), head_(std::move(head)) {}

  struct Finding {
    bool ok = true;
    std::uint64_t first = 0;    ///< sequence of the first record there is; 0: none
    std::uint64_t checked = 0;  ///< records that have been looked at
    AuditHead end;              ///< the last one that holds
    std::uint64_t broken = 0;   ///< sequence of the first place that does not hold; 0: none
    std::string what;           ///< a sentence about it
    storage::Status status;     ///< reading failed: nothing is said about the chain
  };

  /// Checks up to `records` further ones; true while there is more to do.
  bool step(std::size_t records);
  const Finding& finding() const noexcept { return finding_; }

 private:
  bool begin();
  bool restart_behind_prune();
  bool fail(std::uint64_t sequence, std::string what);

  const storage::KvStore& store_;
  AuditHead head_;
  Finding finding_;
  bool begun_ = false;
  AuditHead at_;  ///< the last one that holds
};

}  // namespace skerry::auth
