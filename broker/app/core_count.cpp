// Reads /sys/fs/cgroup at the process's own path and at the mount, which is what a container sees.
#include "app/core_count.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace skerry::app {

namespace {

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) {
    return std::nullopt;
  }
  return line;
}

std::int64_t number_of(std::string_view text) noexcept {
  std::int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::uint32_t cores_by_quota() {
  for (const std::string& path : {cgroup_path(""), std::string()}) {
    if (const auto line = first_line("/sys/fs/cgroup" + path + "/cpu.max")) {
      return cores_of_cpu_max(*line);
    }
  }
  for (const std::string& path : {cgroup_path("cpu"), std::string()}) {
    const std::string directory = "/sys/fs/cgroup/cpu" + path;
    const auto quota = first_line(directory + "/cpu.cfs_quota_us");
    const auto period = first_line(directory + "/cpu.cfs_period_us");
    if (quota && period) {
      return cores_of_quota(number_of(*quota), number_of(*period));
    }
  }
  return 0;
}

}  // namespace

std::string cgroup_path(std::string_view controller) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names == ",," ? controller.empty()
                      : !controller.empty() &&
                            names.find("," + std::string(controller) + ",") != std::string::npos) {
      return line.substr(second + 1);
    }
  }
  return {};
}

std::uint32_t cores_of_quota(std::int64_t quota, std::int64_t period) noexcept {
  if (quota <= 0 || period <= 0) {
    return 0;
  }
  return static_cast<std::uint32_t>(std::min<std::int64_t>((quota - 1) / period + 1, 65'536));
}

std::uint32_t cores_of_cpu_max(std::string_view text) noexcept {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || text.substr(0, space) == "max") {
    return 0;
  }
  return cores_of_quota(number_of(text.substr(0, space)), number_of(text.substr(space + 1)));
}

std::uint16_t usable_cores() {
  cpu_set_t allowed;
  std::uint32_t cores = 1;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    cores = static_cast<std::uint32_t>(std::max(CPU_COUNT(&allowed), 1));
  }
  if (const std::uint32_t quota = cores_by_quota(); quota > 0) {
    cores = std::min(cores, quota);
  }
  return static_cast<std::uint16_t>(std::clamp(cores, 1U, 256U));
}

void raise_file_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

}  // namespace skerry::app
