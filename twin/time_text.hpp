// Instants as people write them in a query and as REST answers them. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/now.hpp"

namespace skerry::twin {

/// Epoch milliseconds of
///   an RFC 3339 date and time, "2024-05-01T12:00:00.5+02:00" (a '+' that a URL turned into a blank
///   is understood),
///   an integer of epoch milliseconds, "1714557600500",
///   an instant relative to `now`, "now", "-90s", "-1h", "-7d" (units ms, s, m, h, d, w).
/// nullopt: none of these.
std::optional<std::int64_t> parse_instant(std::string_view text, WallTime now) noexcept;

/// Milliseconds of "500ms", "90s", "5m", "1h", "7d", "2w"; nullopt: it is no such time.
std::optional<std::int64_t> parse_duration(std::string_view text) noexcept;

/// Appends RFC 3339 in UTC with milliseconds, "2024-05-01T10:00:00.500Z". Years beyond 1 … 9999 are
/// cut to the nearest that can be written.
void append_rfc3339(std::string& out, std::int64_t epoch_milliseconds);

}  // namespace skerry::twin
