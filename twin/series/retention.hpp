// Retention: which samples and roll-ups have outlived their time. The store asks it while it
// compacts, readers so that they do not see what is not gone yet. Any thread, no lock.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "storage/kv_store.hpp"
#include "twin/series/keys.hpp"
#include "twin/series/rule.hpp"

namespace skerry::twin::series {

/// What is older than these is gone: beginnings of days, INT64_MIN for none. raw ≥ minute ≥ hour ≥
/// day, so that what a bucket is made of is there for as long as it may still change.
struct Horizons {
  std::int64_t raw = INT64_MIN;
  std::int64_t minute = INT64_MIN;
  std::int64_t hour = INT64_MIN;
  std::int64_t day = INT64_MIN;

  std::int64_t of(Level level) const noexcept {
    return level == Level::minute ? minute : (level == Level::hour ? hour : day);
  }
};

class Retention final : public storage::RetentionFilter {
 public:
  /// `rules` have passed check().
  Retention(std::vector<SeriesRule> rules, std::function<WallTime()> clock);

  /// nullptr: no rule matches, everything is kept as it is.
  const SeriesRule* rule_of(std::string_view device, std::string_view key) const noexcept;
  Horizons horizons(std::string_view device, std::string_view key) const;
  /// Does any rule move timestamps?
  bool snaps() const noexcept { return snaps_; }
  WallTime now() const { return clock_(); }

  bool keeps(storage::Family family, std::string_view key, std::string_view value) const override;

 private:
  std::vector<SeriesRule> rules_;
  std::function<WallTime()> clock_;
  bool snaps_ = false;
};

}  // namespace skerry::twin::series
