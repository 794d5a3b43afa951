#include "device/collectors.hpp"

#include <fnmatch.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "device/file.hpp"
#include "device/limits.hpp"

namespace skerry::agent {

namespace {

/// Interfaces that come and go with containers and tell nothing of the device.
constexpr std::array<const char*, 6> uninteresting{"lo",   "veth*", "docker*",
                                                   "br-*", "ifb*",  "virbr*"};

void add(Readings& out, std::string key, std::optional<std::int64_t> value) {
  if (value) {
    out.push_back({std::move(key), *value});
  }
}

void add(Readings& out, std::string key, std::optional<double> value) {
  if (value) {
    out.push_back({std::move(key), *value});
  }
}

/// Paths in a directory, sorted, at most `count_max`.
std::vector<std::string> entries_of(const std::string& directory, std::size_t count_max) {
  std::vector<std::string> paths;
  std::error_code error;
  std::filesystem::directory_iterator at{directory, error};
  for (; !error && at != std::filesystem::directory_iterator{} && paths.size() < count_max;
       at.increment(error)) {
    paths.push_back(at->path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Degrees Celsius of a file in thousandths; sensors that are broken say what no device survives.
std::optional<double> degrees(const std::optional<std::string>& text) {
  const auto thousandths = text ? parse_number(*text) : std::nullopt;
  if (!thousandths || *thousandths < -100'000 || *thousandths > 300'000) {
    return std::nullopt;
  }
  return std::round(static_cast<double>(*thousandths) / 100) / 10;
}

}  // namespace

std::optional<std::string> Collectors::read(const std::string& path) const {
  return read_file(options_.root + path, proc_file_bytes_max);
}

Readings Collectors::collect() {
  Readings out;
  for (const std::string& name : options_.collect) {
    if (name == "cpu") {
      add_cpu(out);
    } else if (name == "memory") {
      add_memory(out);
    } else if (name == "disk") {
      add_disks(out);
    } else if (name == "network") {
      add_network(out);
    } else if (name == "temperature") {
      add_temperature(out);
    } else if (name == "uptime") {
      add_uptime(out);
    } else if (name == "services") {
      add_services(out);
    }
  }
  return out;
}

void Collectors::add_cpu(Readings& out) {
  const auto stat = read("/proc/stat");
  const auto ticks = stat ? parse_stat(*stat) : std::nullopt;
  if (ticks && ticks_) {
    add(out, "system.cpu.percent", busy_percent(*ticks_, *ticks));
  }
  ticks_ = ticks;
  if (const auto load = read("/proc/loadavg")) {
    add(out, "system.cpu.load1", parse_first_number(*load));
  }
}

void Collectors::add_memory(Readings& out) const {
  const auto text = read("/proc/meminfo");
  if (!text) {
    return;
  }
  const Memory memory = parse_meminfo(*text);
  add(out, "system.memory.total", memory.total);
  add(out, "system.memory.available", memory.available);
  if (memory.swap_total.value_or(0) > 0) {
    add(out, "system.swap.total", memory.swap_total);
    add(out, "system.swap.free", memory.swap_free);
  }
}

void Collectors::add_disks(Readings& out) const {
  for (const std::string& path : options_.disks) {
    struct statvfs disk {};
    if (statvfs((options_.root + path).c_str(), &disk) != 0 || disk.f_blocks == 0) {
      continue;
    }
    const auto block = static_cast<std::int64_t>(disk.f_frsize);
    const auto total = static_cast<double>(disk.f_blocks);
    // What df calls "Use%": of what others than root may use.
    const auto used = static_cast<double>(disk.f_blocks - disk.f_bfree);
    const double usable = used + static_cast<double>(disk.f_bavail);
    const std::string key = "system.disk." + key_part(path);
    add(out, key + ".total", std::optional{static_cast<std::int64_t>(total) * block});
    add(out, key + ".free", std::optional{static_cast<std::int64_t>(disk.f_bavail) * block});
    if (usable > 0) {
      add(out, key + ".percent", std::optional{std::round(1000 * used / usable) / 10});
    }
  }
}

bool Collectors::wants_interface(const std::string& name) const {
  const auto matches = [&name](const auto& pattern) {
    return fnmatch(std::string{pattern}.c_str(), name.c_str(), 0) == 0;
  };
  if (options_.interfaces.empty()) {
    return std::none_of(uninteresting.begin(), uninteresting.end(), matches);
  }
  return std::any_of(options_.interfaces.begin(), options_.interfaces.end(), matches);
}

void Collectors::add_network(Readings& out) const {
  const auto text = read("/proc/net/dev");
  std::size_t count = 0;
  for (const Interface& interface : parse_net_dev(text.value_or(""), 256)) {
    if (!wants_interface(interface.name) || ++count > interfaces_max) {
      continue;
    }
    const std::string key = "system.network." + key_part(interface.name);
    add(out, key + ".received", std::optional{interface.received_bytes});
    add(out, key + ".sent", std::optional{interface.sent_bytes});
    add(out, key + ".errors", std::optional{interface.errors});
    add(out, key + ".dropped", std::optional{interface.dropped});
  }
}

void Collectors::add_hwmon(Readings& out, const std::string& directory, std::size_t& count) const {
  const std::string name = read_file(directory + "/name", 256).value_or("sensor");
  for (int input = 1; input <= 8 && count < sensors_max; ++input) {
    const std::string file = directory + "/temp" + std::to_string(input);
    const auto value = degrees(read_file(file + "_input", 64));
    if (value) {
      const std::string label =
          read_file(file + "_label", 256).value_or("temp" + std::to_string(input));
      add(out, "system.temperature." + key_part(name) + "_" + key_part(label), value);
      ++count;
    }
  }
}

void Collectors::add_temperature(Readings& out) const {
  std::size_t count = 0;
  for (const std::string& zone : entries_of(options_.root + "/sys/class/thermal", 64)) {
    const auto value = degrees(read_file(zone + "/temp", 64));
    if (value && count < sensors_max) {
      const std::string number = zone.substr(zone.find_last_not_of("0123456789") + 1);
      const std::string type = key_part(read_file(zone + "/type", 256).value_or("zone"));
      add(out, "system.temperature." + type + "_" + number, value);
      ++count;
    }
  }
  for (const std::string& chip : entries_of(options_.root + "/sys/class/hwmon", 32)) {
    add_hwmon(out, chip, count);
  }
}

void Collectors::add_uptime(Readings& out) const {
  const auto text = read("/proc/uptime");
  add(out, "system.uptime", text ? parse_first_number(*text) : std::nullopt);
}

/// By the control group that systemd keeps for each service: it runs while somebody is in it.
void Collectors::add_services(Readings& out) const {
  std::size_t count = 0;
  for (const std::string& service : options_.services) {
    if (++count > services_max) {
      return;
    }
    const std::string group = "/system.slice/" + service + ".service/";
    const std::string key = "system.service." + key_part(service);
    bool running = false;
    if (const auto events = read("/sys/fs/cgroup" + group + "cgroup.events")) {
      running = parse_field(*events, "populated").value_or(0) == 1;
    } else if (const auto processes = read("/sys/fs/cgroup/systemd" + group + "cgroup.procs")) {
      running = !processes->empty();
    }
    out.push_back({key + ".running", running});
    if (const auto bytes = read("/sys/fs/cgroup" + group + "memory.current")) {
      add(out, key + ".memory", parse_number(*bytes));
    }
  }
}

}  // namespace skerry::agent
