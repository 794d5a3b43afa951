// What an operator says of series: how long they are kept, and how finely their time is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"

namespace skerry::twin::series {

/// The first rule whose patterns match a series holds for it alone. In a pattern `*` stands for any
/// text, the empty one too.
struct SeriesRule {
  std::string device = "*";
  std::string key = "*";
  /// How long samples and roll-ups by minute, hour and day are kept; nullopt: for good. Each at
  /// least as long as the one before. They go by whole days (UTC).
  std::optional<Milliseconds> raw;
  std::optional<Milliseconds> minutes;
  std::optional<Milliseconds> hours;
  std::optional<Milliseconds> days;
  /// Timestamps are moved to the nearest multiple of this on arrival; 0: they stay.
  Milliseconds resolution{0};

  friend bool operator==(const SeriesRule&, const SeriesRule&) = default;
};

/// O(pattern · text) at worst.
bool matches(std::string_view pattern, std::string_view text) noexcept;

/// Why `rule` cannot be used: a field's name and a sentence; nullopt: it can.
struct RuleError {
  std::string field;
  std::string detail;
};
std::optional<RuleError> check(const SeriesRule& rule);

}  // namespace skerry::twin::series
