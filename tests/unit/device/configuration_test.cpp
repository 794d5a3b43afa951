// What people write in the configuration, and what they are told when it is wrong.
#include "device/configuration.hpp"

#include <doctest/doctest.h>

using namespace skerry;
using namespace skerry::agent;
using namespace std::chrono_literals;

namespace {

const std::string least =
    "device: pump-7\n"
    "gateway:\n"
    "  host: gateway.local\n"
    "  ca_file: /etc/skerry-agent/root.crt\n";

std::string complaint(const std::string& text) {
  try {
    parse_configuration(text, "agent.yaml");
  } catch (const ConfigurationError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("the least that must be said, and what holds without more") {
  const Configuration read = parse_configuration(least, "agent.yaml");
  CHECK(read.device == "pump-7");
  CHECK(read.gateway.mqtt_port == 8883);
  CHECK(read.gateway.enrolment_port == 8444);
  CHECK(read.interval == 10s);
  CHECK(read.telemetry.collect.size() == collector_names.size());
  CHECK(read.spool.bytes_max == 16 * 1024 * 1024);
  CHECK(read.local_socket.path.empty());
  CHECK(read.enrolment.rotate_key);
}

TEST_CASE("everything that can be said") {
  const Configuration read = parse_configuration(
      "device: pump-7\n"
      "state_dir: /tmp/state\n"
      "gateway: {host: '::1', mqtt_port: 1, enrolment_port: 65535,\n"
      "  ca_fingerprint: 'AB:" +
          std::string(62, '0') +
          "'}\n"
          "connection: {keep_alive: 30s, retry_min: 100ms, retry_max: 1min}\n"
          "enrolment: {token_file: /run/token, rotate_key: false}\n"
          "telemetry: {interval: 500ms, collect: [cpu, services], disks: [/, /var], "
          "interfaces: [eth*], services: [ssh, 'getty@tty1']}\n"
          "spool: {bytes_max: 2MiB, age_max: 12h}\n"
          "local_socket: {path: /run/a.sock, mode: '0600', lines_per_second: 5, burst: 10}\n"
          "log: {level: debug}\n",
      "agent.yaml");
  CHECK(read.gateway.ca_fingerprint == "ab" + std::string(62, '0'));
  CHECK(read.connection.retry_min == 100ms);
  CHECK(read.interval == 500ms);
  CHECK(read.telemetry.services == std::vector<std::string>{"ssh", "getty@tty1"});
  CHECK(read.spool.bytes_max == 2 * 1024 * 1024);
  CHECK(read.spool.age_max == 12h);
  CHECK(read.local_socket.mode == 0600);
  CHECK(read.log_level == LogLevel::debug);
  CHECK_FALSE(read.enrolment.rotate_key);
}

TEST_CASE("mistakes are told with file, line and what to write instead") {
  CHECK(complaint(least + "telemetri: {}\n") ==
        "agent.yaml:5: unknown key \"telemetri\"; did you mean \"telemetry\"?");
  CHECK(complaint(least + "telemetry:\n  interval: 10\n") ==
        "agent.yaml:6: telemetry.interval must be between 100ms and 1d");
  CHECK(complaint(least + "spool: {bytes_max: 1KiB}\n") ==
        "agent.yaml:5: spool.bytes_max must be between 1MiB and 4GiB");
  CHECK(complaint(least + "device: other\n") == "agent.yaml:5: key \"device\" comes twice");
  CHECK(complaint(least + "log: {level: loud}\n") ==
        "agent.yaml:5: log.level must be debug, info, warning or error");
  CHECK(complaint(least + "connection: {retry_min: 2min, retry_max: 1min}\n") ==
        "agent.yaml:5: connection.retry_max must not be shorter than retry_min");
}

TEST_CASE("what would be dangerous or senseless is refused") {
  for (const char* wrong :
       {"", "[]", "device: pump-7", "device: [a]\n", "\t", "device: 'a/b'\n", "a: &x [*x]",
        "device: pump\ngateway: {host: gw}\n",
        "device: pump\ngateway: {host: gw, ca_file: /a, ca_fingerprint: '00'}\n",
        "device: pump\ngateway: {host: gw, ca_fingerprint: '00'}\n",
        "device: pump\ngateway: {host: 'gw/x', ca_file: /a}\n",
        "device: pump\ngateway: {host: gw, ca_file: /a, mqtt_port: 0}\n",
        "device: pump\ngateway: {host: gw, ca_file: /a, mqtt_port: 65536}\n",
        "device: pump\ngateway: {host: gw, ca_file: /a, verify: false}\n"}) {
    CAPTURE(wrong);
    CHECK_FALSE(complaint(wrong).empty());
  }
  for (const char* more :
       {"telemetry: {services: ['../../etc']}\n", "telemetry: {collect: [gps]}\n",
        "telemetry: {interval: 99999999999999999999s}\n", "telemetry: {interval: -1s}\n",
        "local_socket: {path: relative}\n", "local_socket: {mode: '0999'}\n",
        "local_socket: {mode: '10660'}\n", "state_dir: relative\n",
        "enrolment: {rotate_key: yes}\n", "spool: {bytes_max: 99999999999GiB}\n",
        "telemetry: {disks: /}\n"}) {
    CAPTURE(more);
    CHECK_FALSE(complaint(least + more).empty());
  }
}

TEST_CASE("what a reload can change and what it cannot") {
  const Configuration before = parse_configuration(least, "agent.yaml");
  Configuration after = before;
  after.interval = 1s;
  after.spool.bytes_max *= 2;
  after.local_socket.burst = 5;
  CHECK(fixed_key_changed(before, after).empty());
  after.gateway.host = "other";
  CHECK(fixed_key_changed(before, after) == "gateway");
}

}  // namespace
