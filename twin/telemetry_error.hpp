// What all telemetry parsers share: how they say no, and which samples they flag.
#pragma once

#include "base/now.hpp"
#include "twin/sample.hpp"

namespace skerry::twin {

/// Why a payload is refused: a static sentence for reason string and log.
struct TelemetryError {
  const char* what = "";
};

/// The flags of a sample of this time in a message of that arrival, both epoch milliseconds.
inline std::uint8_t flags_of(std::int64_t timestamp, std::int64_t arrival) noexcept {
  const bool skewed = timestamp < arrival - clock_behind_max_milliseconds ||
                      timestamp > arrival + clock_ahead_max_milliseconds;
  return skewed ? sample_flag(SampleFlag::clock_skew) : std::uint8_t{0};
}

}  // namespace skerry::twin
