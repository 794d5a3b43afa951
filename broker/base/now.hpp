// Time as an argument: whoever needs it is handed a Now, so floors below `net` never look at a
// clock and a test can run hours in milliseconds.
#pragma once

#include <chrono>
#include <cstdint>

namespace skerry {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
using Milliseconds = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;

/// One instant on both clocks. Intervals are measured on `steady`; what is stored is `wall`.
struct Now {
  SteadyTime steady{};
  WallTime wall{};
};

/// Reads both clocks. For floors `net` and above.
Now read_clocks() noexcept;

/// Milliseconds since 1970-01-01 UTC, the form in which wall time is stored and sent.
inline std::int64_t epoch_milliseconds(WallTime time) noexcept {
  return time.time_since_epoch().count();
}

inline WallTime wall_from_epoch(std::int64_t milliseconds) noexcept {
  return WallTime{Milliseconds{milliseconds}};
}

}  // namespace skerry
