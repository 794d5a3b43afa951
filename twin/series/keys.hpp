// Keys of the families of the series store; all begin with the device, most with the series:
//   series_log      device NUL · sequence (8)
//   series_latest   device NUL key
//   series_chunks   device NUL key NUL · first timestamp (8, sign bit flipped) · its tie (8)
//   series_rollups  device NUL key NUL · level (1) · start of the block (8, sign bit flipped)
// Numbers are big endian. Neither device ids nor keys hold a NUL. See sample_record.hpp for the
// prefixes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "twin/sample_record.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin::series {

std::string log_key(std::string_view device, std::uint64_t sequence);

struct LogKey {
  std::string_view device;
  std::uint64_t sequence = 0;
};
std::optional<LogKey> parse_log_key(std::string_view key) noexcept;

/// `device` NUL `key`
std::string latest_key(std::string_view device, std::string_view key);

/// The device and the key of a record of any family that is kept by series, and what follows.
struct SeriesKey {
  std::string_view device;
  std::string_view key;
  std::string_view rest;  ///< behind the NUL that ends the key; empty for series_latest
};
std::optional<SeriesKey> parse_series_key(std::string_view key) noexcept;

std::string chunk_key(std::string_view series_prefix, SamplePlace place);
/// `rest` of a parsed key.
std::optional<SamplePlace> parse_chunk_place(std::string_view rest) noexcept;

/// Roll-ups: how wide a bucket is. The numbers are on disk: append, never reorder.
enum class Level : std::uint8_t { minute = 1, hour = 2, day = 3 };

inline constexpr std::int64_t minute_milliseconds = 60'000;
inline constexpr std::int64_t hour_milliseconds = 60 * minute_milliseconds;
inline constexpr std::int64_t day_milliseconds = 24 * hour_milliseconds;

/// Length of a bucket, and of a block: of the buckets that stand in one record, some 240.
constexpr std::int64_t bucket_length(Level level) noexcept {
  switch (level) {
    case Level::minute:
      return minute_milliseconds;
    case Level::hour:
      return hour_milliseconds;
    case Level::day:
      break;
  }
  return day_milliseconds;
}
constexpr std::int64_t block_length(Level level) noexcept {
  switch (level) {
    case Level::minute:
      return 4 * hour_milliseconds;
    case Level::hour:
      return 10 * day_milliseconds;
    case Level::day:
      break;
  }
  return 256 * day_milliseconds;
}

/// The greatest multiple of `length` that is not behind `time`; INT64_MIN stands for itself.
constexpr std::int64_t floor_to(std::int64_t time, std::int64_t length) noexcept {
  const std::int64_t rest = time % length;
  const std::int64_t below = rest < 0 ? rest + length : rest;
  return time < INT64_MIN + below ? INT64_MIN : time - below;
}

std::string rollup_key(std::string_view series_prefix, Level level, std::int64_t block);
struct RollupPlace {
  Level level = Level::minute;
  std::int64_t block = 0;
};
std::optional<RollupPlace> parse_rollup_place(std::string_view rest) noexcept;

}  // namespace skerry::twin::series
