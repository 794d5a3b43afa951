#include "twin/series/retention.hpp"

#include <algorithm>

#include "twin/series/chunk.hpp"

namespace skerry::twin::series {
namespace {

std::int64_t horizon(WallTime now, const std::optional<Milliseconds>& age) noexcept {
  return age ? floor_to(epoch_milliseconds(now) - age->count(), day_milliseconds) : INT64_MIN;
}

}  // namespace

Retention::Retention(std::vector<SeriesRule> rules, std::function<WallTime()> clock)
    : rules_(std::move(rules)), clock_(std::move(clock)) {
  snaps_ = std::any_of(rules_.begin(), rules_.end(),
                       [](const SeriesRule& rule) { return rule.resolution > Milliseconds{0}; });
}

const SeriesRule* Retention::rule_of(std::string_view device, std::string_view key) const noexcept {
  for (const SeriesRule& rule : rules_) {
    if (matches(rule.device, device) && matches(rule.key, key)) {
      return &rule;
    }
  }
  return nullptr;
}

Horizons Retention::horizons(std::string_view device, std::string_view key) const {
  const SeriesRule* const rule = rule_of(device, key);
  if (rule == nullptr) {
    return {};
  }
  const WallTime now = clock_();
  return {horizon(now, rule->raw), horizon(now, rule->minutes), horizon(now, rule->hours),
          horizon(now, rule->days)};
}

bool Retention::keeps(storage::Family family, std::string_view key, std::string_view value) const {
  const auto parsed = parse_series_key(key);
  if (!parsed) {
    return true;
  }
  const Horizons horizons = this->horizons(parsed->device, parsed->key);
  if (family == storage::Family::series_chunks) {
    ChunkHeader header;
    return horizons.raw == INT64_MIN || !read_chunk_header(value, header) ||
           header.last >= horizons.raw;
  }
  const auto place = parse_rollup_place(parsed->rest);
  return !place || place->block + block_length(place->level) > horizons.of(place->level);
}

}  // namespace skerry::twin::series
