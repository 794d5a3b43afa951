#include "device/configuration.hpp"

#include <algorithm>

#include "device/configuration_section.hpp"
#include "device/file.hpp"
#include "device/limits.hpp"

namespace skerry::agent {

namespace {

constexpr std::uint64_t second = 1000;
constexpr std::uint64_t day = 86'400 * second;
constexpr std::uint64_t mebibyte = 1024 * 1024;

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Letters, digits and `more`.
bool is_made_of(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [more](char c) {
    return is_letter_or_digit(c) || more.find(c) != std::string_view::npos;
  });
}

void read_device(const Section& top, Configuration& out) {
  top.read("device", out.device);
  const bool good = !out.device.empty() && out.device.size() <= 64 &&
                    is_letter_or_digit(out.device.front()) && is_made_of(out.device, "._~-");
  if (!good) {
    top.fail("device", "must be the device's id: letters, digits and . _ ~ -, at most 64");
  }
  top.read("state_dir", out.state_dir);
  if (!out.state_dir.starts_with('/')) {
    top.fail("state_dir", "must be an absolute path");
  }
}

/// Colons and capitals are how other tools print a fingerprint.
std::string normal_fingerprint(const Section& section, const std::string& text) {
  std::string digits;
  for (const char c : text) {
    if (c != ':') {
      digits += c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
    }
  }
  if (digits.size() != 64 || digits.find_first_not_of("0123456789abcdef") != std::string::npos) {
    section.fail("ca_fingerprint", "must be 64 hexadecimal digits: the SHA-256 of the root");
  }
  return digits;
}

void read_gateway(const Section& top, GatewayOptions& out) {
  const Section section =
      top.section("gateway", {"host", "mqtt_port", "enrolment_port", "ca_file", "ca_fingerprint"});
  section.read("host", out.host);
  if (out.host.empty() || out.host.size() > 253 || !is_made_of(out.host, ".-_:")) {
    section.fail("host", "must be the gateway's name or address");
  }
  section.read_number("mqtt_port", out.mqtt_port, {1, 65535});
  section.read_number("enrolment_port", out.enrolment_port, {1, 65535});
  section.read("ca_file", out.ca_file);
  if (section.value("ca_fingerprint")) {
    std::string text;
    section.read("ca_fingerprint", text);
    out.ca_fingerprint = normal_fingerprint(section, text);
  }
  if (out.ca_file.empty() == out.ca_fingerprint.empty()) {
    section.fail("ca_file", "or ca_fingerprint, one of the two, must say whom to trust");
  }
}

void read_connection(const Section& top, ConnectionOptions& out) {
  const Section section = top.section("connection", {"keep_alive", "retry_min", "retry_max"});
  section.read_duration("keep_alive", out.keep_alive, {5 * second, 3600 * second});
  section.read_duration("retry_min", out.retry_min, {100, 3600 * second});
  section.read_duration("retry_max", out.retry_max, {100, day});
  if (out.retry_max < out.retry_min) {
    section.fail("retry_max", "must not be shorter than retry_min");
  }
}

void read_telemetry(const Section& top, Configuration& out) {
  const Section section =
      top.section("telemetry", {"interval", "collect", "disks", "interfaces", "services"});
  section.read_duration("interval", out.interval, {100, day});
  CollectorOptions& collectors = out.telemetry;
  section.read("collect", collectors.collect, collector_names.size());
  for (const std::string& name : collectors.collect) {
    if (std::find(collector_names.begin(), collector_names.end(), name) == collector_names.end()) {
      section.fail("collect", "knows cpu, memory, disk, network, temperature, uptime, services");
    }
  }
  section.read("disks", collectors.disks, disks_max);
  section.read("interfaces", collectors.interfaces, interfaces_max);
  section.read("services", collectors.services, services_max);
  for (const std::string& name : collectors.services) {
    if (name.empty() || name.size() > 128 || !is_made_of(name, "@._:-")) {
      section.fail("services", "are names of systemd services, without .service");
    }
  }
}

void read_spool(const Section& top, SpoolSettings& out) {
  const Section section = top.section("spool", {"bytes_max", "age_max"});
  section.read_size("bytes_max", out.bytes_max, {mebibyte, 4096 * mebibyte});
  section.read_duration("age_max", out.age_max, {60 * second, 3650 * day});
}

void read_local_socket(const Section& top, LocalSocketOptions& out) {
  const Section section =
      top.section("local_socket", {"path", "mode", "lines_per_second", "burst"});
  section.read("path", out.path);
  constexpr std::size_t path_bytes_max = 107;  // of sockaddr_un
  if (!out.path.empty() && (!out.path.starts_with('/') || out.path.size() > path_bytes_max)) {
    section.fail("path", "must be an absolute path of at most 107 bytes");
  }
  std::string mode;
  section.read("mode", mode);
  if (!mode.empty()) {
    if (mode.size() != 4 || mode[0] != '0' ||
        mode.find_first_not_of("01234567") != std::string::npos) {
      section.fail("mode", "must be permissions in octal, like \"0660\"");
    }
    out.mode = static_cast<unsigned>(std::stoul(mode, nullptr, 8));
  }
  section.read_number("lines_per_second", out.lines_per_second, {1, 100'000});
  section.read_number("burst", out.burst, {1, 1'000'000});
}

void read_log(const Section& top, LogLevel& out) {
  const Section section = top.section("log", {"level"});
  std::string word = "info";
  section.read("level", word);
  constexpr std::array<std::string_view, 4> words{"debug", "info", "warning", "error"};
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) {
    section.fail("level", "must be debug, info, warning or error");
  }
  out = static_cast<LogLevel>(found - words.begin());
}

}  // namespace

Configuration parse_configuration(const std::string& text, const std::string& name) {
  Configuration out;
  try {
    const YAML::Node node = YAML::Load(text);
    const Section top{name,
                      "",
                      node,
                      {"device", "state_dir", "gateway", "connection", "enrolment", "telemetry",
                       "spool", "local_socket", "log"}};
    read_device(top, out);
    read_gateway(top, out.gateway);
    read_connection(top, out.connection);
    const Section enrolment = top.section("enrolment", {"token_file", "rotate_key"});
    enrolment.read("token_file", out.enrolment.token_file);
    enrolment.read("rotate_key", out.enrolment.rotate_key);
    read_telemetry(top, out);
    read_spool(top, out.spool);
    read_local_socket(top, out.local_socket);
    read_log(top, out.log_level);
  } catch (const YAML::Exception& error) {
    throw ConfigurationError(name + ":" + std::to_string(error.mark.line + 1) + ": " + error.msg);
  }
  return out;
}

Configuration read_configuration(const std::string& path) {
  const auto text = read_file(path, file_bytes_max);
  if (!text) {
    throw ConfigurationError(path + ":1: cannot be read, or has more than 256 KiB");
  }
  return parse_configuration(*text, path);
}

std::string_view fixed_key_changed(const Configuration& before, const Configuration& after) {
  if (before.device != after.device) {
    return "device";
  }
  if (before.state_dir != after.state_dir) {
    return "state_dir";
  }
  if (before.gateway != after.gateway) {
    return "gateway";
  }
  if (before.connection != after.connection) {
    return "connection";
  }
  if (before.enrolment != after.enrolment) {
    return "enrolment";
  }
  const bool same_socket = before.local_socket.path == after.local_socket.path &&
                           before.local_socket.mode == after.local_socket.mode;
  return same_socket ? "" : "local_socket";
}

}  // namespace skerry::agent
