// Readings as a sensor sends them, of a size that never changes.
#pragma once

#include <cstdint>
#include <string>

namespace skerry::bench {

/// Flat JSON with `ts` and five series: decimals that wander, a counter, a flag.
std::string telemetry(std::int64_t time_ms, std::uint64_t sequence);

std::int64_t epoch_milliseconds();

}  // namespace skerry::bench
