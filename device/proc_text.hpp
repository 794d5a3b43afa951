// What the kernel says in text, as numbers: pure functions of the content of files below /proc and
// /sys. A line that makes no sense is passed over; a file that makes none gives nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skerry::agent {

/// Clock ticks since boot, of all processors.
struct CpuTicks {
  std::uint64_t busy = 0;
  std::uint64_t total = 0;
};

/// /proc/stat. Waiting for disks is not being busy; guests are counted once.
std::optional<CpuTicks> parse_stat(std::string_view text);

/// Share of busy ticks between two readings in percent; nullopt when no tick has passed or the
/// counters went back.
std::optional<double> busy_percent(const CpuTicks& before, const CpuTicks& after);

/// The first number of /proc/loadavg or /proc/uptime.
std::optional<double> parse_first_number(std::string_view text);

/// Bytes.
struct Memory {
  std::optional<std::int64_t> total;
  std::optional<std::int64_t> available;
  std::optional<std::int64_t> swap_total;
  std::optional<std::int64_t> swap_free;
};

/// /proc/meminfo.
Memory parse_meminfo(std::string_view text);

/// Counters of an interface since it came up.
struct Interface {
  std::string name;
  std::int64_t received_bytes = 0;
  std::int64_t sent_bytes = 0;
  std::int64_t errors = 0;
  std::int64_t dropped = 0;
};

/// /proc/net/dev, at most `count_max`.
std::vector<Interface> parse_net_dev(std::string_view text, std::size_t count_max);

/// A file of one whole number ("42000\n").
std::optional<std::int64_t> parse_number(std::string_view text);

/// The value behind `name` in a file of "name value" lines.
std::optional<std::int64_t> parse_field(std::string_view text, std::string_view name);

/// A name as a part of a telemetry key: what is not a letter, digit, '_' or '-' becomes '_', and
/// those at the ends go; "/" is "root".
std::string key_part(std::string_view name);

}  // namespace skerry::agent
