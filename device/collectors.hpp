// How the device is: processor, memory, disks, network, temperature, uptime and services, read from
// /proc, /sys and statvfs. No program is started and nothing is asked over a bus; what a machine
// does not have gives no reading.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/proc_text.hpp"
#include "device/sample.hpp"

namespace skerry::agent {

/// By name in the configuration.
inline constexpr std::array<std::string_view, 7> collector_names{
    "cpu", "memory", "disk", "network", "temperature", "uptime", "services"};

struct CollectorOptions {
  std::vector<std::string> collect{collector_names.begin(), collector_names.end()};
  std::vector<std::string> disks{"/"};
  /// Patterns with * and ?; empty: all but loopback and those of containers.
  std::vector<std::string> interfaces;
  /// Of systemd, without ".service".
  std::vector<std::string> services;
  std::string root;  ///< before /proc and /sys; empty but in tests
};

/// One thread.
class Collectors {
 public:
  explicit Collectors(CollectorOptions options) : options_(std::move(options)) {}

  /// One row. The processor's load is that since the call before, so the first has none.
  Readings collect();

 private:
  std::optional<std::string> read(const std::string& path) const;
  bool wants_interface(const std::string& name) const;
  void add_cpu(Readings& out);
  void add_memory(Readings& out) const;
  void add_disks(Readings& out) const;
  void add_network(Readings& out) const;
  void add_temperature(Readings& out) const;
  void add_hwmon(Readings& out, const std::string& directory, std::size_t& count) const;
  void add_uptime(Readings& out) const;
  void add_services(Readings& out) const;

  CollectorOptions options_;
  std::optional<CpuTicks> ticks_;
};

}  // namespace skerry::agent
