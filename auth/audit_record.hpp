// One record of the audit as bytes, and the link that ties it to the one before.
//
// Family::admin, key "audit/" sequence (8, big endian); value: version (1 byte, 1), hash of the
// record before (32), hash of this one (32), and the record in its canonical form: sequence (8),
// time in epoch milliseconds (8), then actor, action, object, outcome, detail, address, each with
// its length (4) before it; numbers big endian. The hash is SHA-256 over the hash before and the
// canonical form, so that changing, leaving out or swapping records breaks every later link.
//
// Key "audit-anchor": version (1 byte, 1), sequence of the first record that is kept (8), hash of
// the last one that was dropped (32). Without it the chain begins at 1 behind 32 zero bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/now.hpp"
#include "plugin/audit.hpp"

namespace skerry::auth {

inline constexpr std::string_view audit_prefix = "audit/";
inline constexpr std::string_view audit_anchor_key = "audit-anchor";

struct AuditRecord {
  std::uint64_t sequence = 0;
  WallTime time{};
  plugin::AuditEvent event;
};

/// A place in the chain: what the next record is linked to.
struct AuditHead {
  std::uint64_t sequence = 0;  ///< of the last record; 0: none yet
  std::string hash = std::string(32, '\0');
};

/// A record as it is stored.
struct StoredAudit {
  AuditRecord record;
  std::string previous;  ///< 32 bytes
  std::string hash;      ///< 32 bytes
  /// Does `hash` fit what it stands over, and the key the sequence?
  bool is_sound = false;
};

std::string audit_key(std::uint64_t sequence);
/// What a key of the right length says; 0 for others.
std::uint64_t sequence_of(std::string_view key) noexcept;

/// Cuts every text to its cap (limits.hpp) at a character and puts '?' for control characters and
/// for what is not UTF-8.
void clean(plugin::AuditEvent& event);

/// The value for `record` behind `head`; moves `head` on to it.
std::string link_audit(const AuditRecord& record, AuditHead& head);

/// nullopt when the bytes are not of this form at all.
std::optional<StoredAudit> read_audit(std::string_view key, std::string_view value);

struct AuditAnchor {
  std::uint64_t first = 1;  ///< sequence of the first record there must be
  std::string previous = std::string(32, '\0');
};
std::string encode_anchor(const AuditAnchor& anchor);
std::optional<AuditAnchor> read_anchor(std::string_view value);

}  // namespace skerry::auth
