#include "twin/series/rule.hpp"

namespace skerry::twin::series {
namespace {

/// Longer than any clock error, shorter than any memory: what is kept less has no chunk to go with.
constexpr Milliseconds age_min = std::chrono::days{1};
constexpr Milliseconds resolution_max = std::chrono::hours{1};

/// Is `longer` at least `shorter`, nullopt being for good?
bool covers(const std::optional<Milliseconds>& longer,
            const std::optional<Milliseconds>& shorter) noexcept {
  return !longer || (shorter && *longer >= *shorter);
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) noexcept {
  std::size_t at = 0;
  std::size_t in = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (in < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      resume = in;
    } else if (at < pattern.size() && pattern[at] == text[in]) {
      ++at;
      ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in = ++resume;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') {
    ++at;
  }
  return at == pattern.size();
}

std::optional<RuleError> check(const SeriesRule& rule) {
  if (rule.device.empty()) {
    return RuleError{"device", "must be a pattern; * stands for any device"};
  }
  if (rule.key.empty()) {
    return RuleError{"key", "must be a pattern; * stands for any key"};
  }
  if (rule.raw && *rule.raw < age_min) {
    return RuleError{"raw", "must be at least 1d"};
  }
  if (!covers(rule.minutes, rule.raw)) {
    return RuleError{"minutes", "must not be shorter than raw"};
  }
  if (!covers(rule.hours, rule.minutes)) {
    return RuleError{"hours", "must not be shorter than minutes"};
  }
  if (!covers(rule.days, rule.hours)) {
    return RuleError{"days", "must not be shorter than hours"};
  }
  if (rule.resolution < Milliseconds{0} || rule.resolution > resolution_max) {
    return RuleError{"resolution", "must be from 0 to 1h"};
  }
  return std::nullopt;
}

}  // namespace skerry::twin::series
