// Collectors over a recorded machine: what each says, and that a machine which lacks something is
// no error.
#include "device/collectors.hpp"

#include <doctest/doctest.h>

#include "unit/device/scratch.hpp"

using namespace skerry::agent;

namespace {

CollectorOptions options_of(const Scratch& machine) {
  CollectorOptions options;
  options.root = machine.path();
  return options;
}

const Value* find(const Readings& readings, std::string_view key) {
  for (const Reading& reading : readings) {
    if (reading.key == key) {
      return &reading.value;
    }
  }
  return nullptr;
}

void record_machine(const Scratch& machine) {
  machine.write("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n");
  machine.write("proc/loadavg", "0.52 0.58 0.59 1/467 12345\n");
  machine.write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\nSwapTotal: 0 kB\n");
  machine.write("proc/uptime", "350735.47 234388.90\n");
  machine.write("proc/net/dev",
                "h\nh\n lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
                " eth0: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n"
                " veth12: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n");
  machine.write("sys/class/thermal/thermal_zone0/temp", "48312\n");
  machine.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
  machine.write("sys/class/thermal/thermal_zone1/temp", "-274000\n");
  machine.write("sys/class/hwmon/hwmon0/name", "nvme\n");
  machine.write("sys/class/hwmon/hwmon0/temp1_input", "35850\n");
  machine.write("sys/class/hwmon/hwmon0/temp1_label", "Composite\n");
}

TEST_CASE("a recorded machine says what it is") {
  const Scratch machine;
  record_machine(machine);
  Collectors collectors{options_of(machine)};
  const Readings first = collectors.collect();
  CHECK_FALSE(find(first, "system.cpu.percent"));
  machine.write("proc/stat", "cpu  130 0 120 850 0 0 0 0 0 0\n");
  const Readings row = collectors.collect();
  CHECK(*find(row, "system.cpu.percent") == Value{50.0});
  CHECK(*find(row, "system.cpu.load1") == Value{0.52});
  CHECK(*find(row, "system.memory.total") == Value{std::int64_t{1024000}});
  CHECK(*find(row, "system.memory.available") == Value{std::int64_t{512000}});
  CHECK_FALSE(find(row, "system.swap.total"));
  CHECK(*find(row, "system.network.eth0.received") == Value{std::int64_t{10}});
  CHECK(*find(row, "system.network.eth0.sent") == Value{std::int64_t{20}});
  CHECK_FALSE(find(row, "system.network.lo.sent"));
  CHECK_FALSE(find(row, "system.network.veth12.sent"));
  CHECK(*find(row, "system.temperature.cpu-thermal_0") == Value{48.3});
  CHECK(*find(row, "system.temperature.nvme_Composite") == Value{35.9});
  CHECK(*find(row, "system.uptime") == Value{350735.47});
  REQUIRE(find(row, "system.disk.root.total"));
  CHECK(std::get<std::int64_t>(*find(row, "system.disk.root.total")) > 0);
  for (const Reading& reading : row) {
    CHECK(reading.key.find("zone1") == std::string::npos);
  }
}

TEST_CASE("a machine that has nothing gives no readings, and no error") {
  const Scratch machine;
  CollectorOptions options = options_of(machine);
  options.disks = {"/nowhere"};
  Collectors collectors{options};
  CHECK(collectors.collect().empty());
}

TEST_CASE("only what is asked for is collected") {
  const Scratch machine;
  record_machine(machine);
  CollectorOptions options = options_of(machine);
  options.collect = {"network", "uptime"};
  options.interfaces = {"veth*"};
  const Readings row = Collectors{options}.collect();
  CHECK(row.size() == 5);
  CHECK(find(row, "system.network.veth12.sent"));
}

TEST_CASE("services by their control groups, of both versions") {
  const Scratch machine;
  const std::string v2 = "sys/fs/cgroup/system.slice/";
  const std::string v1 = "sys/fs/cgroup/systemd/system.slice/";
  machine.write(v2 + "ssh.service/cgroup.events", "populated 1\nfrozen 0\n");
  machine.write(v2 + "ssh.service/memory.current", "5242880\n");
  machine.write(v2 + "cron.service/cgroup.events", "populated 0\nfrozen 0\n");
  machine.write(v1 + "old.service/cgroup.procs", "4711\n4712\n");
  machine.write(v1 + "empty.service/cgroup.procs", "");
  CollectorOptions options = options_of(machine);
  options.collect = {"services"};
  options.services = {"ssh", "cron", "old", "empty", "missing"};
  const Readings row = Collectors{options}.collect();
  CHECK(*find(row, "system.service.ssh.running") == Value{true});
  CHECK(*find(row, "system.service.ssh.memory") == Value{std::int64_t{5242880}});
  CHECK(*find(row, "system.service.cron.running") == Value{false});
  CHECK(*find(row, "system.service.old.running") == Value{true});
  CHECK(*find(row, "system.service.empty.running") == Value{false});
  CHECK(*find(row, "system.service.missing.running") == Value{false});
  CHECK(row.size() == 6);
}

TEST_CASE("files that are too large or no text are passed over") {
  const Scratch machine;
  machine.write("proc/meminfo", std::string(300 * 1024, 'x'));
  machine.write("proc/uptime", std::string("\0\0\0", 3));
  machine.write("proc/loadavg", "inf\n");
  machine.write("sys/class/thermal/thermal_zone0/temp", std::string(100, '9'));
  CollectorOptions options = options_of(machine);
  options.disks = {};
  CHECK(Collectors{options}.collect().empty());
}

}  // namespace
