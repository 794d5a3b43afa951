// What the system says of the broker's process: CPU time, memory, switches, calls. Linux only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace skerry::bench {

struct ProcessUse {
  double cpu_seconds = 0;  ///< user and system, all threads
  std::uint64_t resident_bytes = 0;
  std::uint64_t resident_peak_bytes = 0;
  std::uint64_t switches = 0;  ///< context switches, voluntary and not, of living threads
  std::uint64_t reads = 0;     ///< calls of the read family that the kernel counts (files)
  std::uint64_t writes = 0;
};

/// nullopt: there is no such process, or it may not be looked at.
std::optional<ProcessUse> use_of(pid_t process);

double own_cpu_seconds() noexcept;

}  // namespace skerry::bench
