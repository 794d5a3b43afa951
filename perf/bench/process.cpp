#include "process.hpp"

#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace skerry::bench {
namespace {

double seconds_of(const timespec& time) noexcept {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// The number behind `name:` in a file of such lines; 0 when there is none.
std::uint64_t number_in(const std::filesystem::path& file, std::string_view name) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':') {
      return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10);
    }
  }
  return 0;
}

}  // namespace

std::optional<ProcessUse> use_of(pid_t process) {
  clockid_t clock{};
  timespec time{};
  if (process <= 0 || ::clock_getcpuclockid(process, &clock) != 0 ||
      ::clock_gettime(clock, &time) != 0) {
    return std::nullopt;
  }
  const std::filesystem::path directory = "/proc/" + std::to_string(process);
  ProcessUse use;
  use.cpu_seconds = seconds_of(time);
  use.resident_bytes = number_in(directory / "status", "VmRSS") * 1024;
  use.resident_peak_bytes = number_in(directory / "status", "VmHWM") * 1024;
  use.reads = number_in(directory / "io", "syscr");
  use.writes = number_in(directory / "io", "syscw");
  std::error_code ignored;
  for (const auto& thread : std::filesystem::directory_iterator(directory / "task", ignored)) {
    use.switches += number_in(thread.path() / "status", "voluntary_ctxt_switches") +
                    number_in(thread.path() / "status", "nonvoluntary_ctxt_switches");
  }
  return use;
}

double own_cpu_seconds() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return seconds_of(time);
}

}  // namespace skerry::bench
