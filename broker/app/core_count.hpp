// How many cores "auto" means, and how many files the process may open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skerry::app {

/// The smaller of the affinity mask and the cgroup's processor quota (version 1 or 2, rounded up),
/// 1 … 256.
std::uint16_t usable_cores();

/// Path of this process in the control groups of version 2 (`controller` empty) or of a controller.
std::string cgroup_path(std::string_view controller);

/// Processors granted by the text of a version 2 `cpu.max` ("max 100000", "150000 100000"), rounded
/// up; 0: no limit.
std::uint32_t cores_of_cpu_max(std::string_view text) noexcept;

/// The same for `cpu.cfs_quota_us` and `cpu.cfs_period_us` of version 1.
std::uint32_t cores_of_quota(std::int64_t quota, std::int64_t period) noexcept;

/// Raises the soft limit of open files to the hard one.
void raise_file_limit() noexcept;

}  // namespace skerry::app
