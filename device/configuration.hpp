// The agent's configuration: one YAML file. Unknown keys, wrong values and values out of range are
// errors that name the file, the line and what to write instead.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "device/collectors.hpp"
#include "base/now.hpp"

namespace skerry::agent {

class ConfigurationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The gateway, and the one certificate that is trusted to have signed for it.
struct GatewayOptions {
  std::string host;  ///< name or address, as in the server's certificate
  std::uint16_t mqtt_port = 8883;
  std::uint16_t enrolment_port = 8444;
  std::string ca_file;         ///< root in PEM …
  std::string ca_fingerprint;  ///< … or SHA-256 of its DER, 64 hexadecimal digits in lower case

  bool operator==(const GatewayOptions&) const = default;
};

struct ConnectionOptions {
  Milliseconds keep_alive{std::chrono::seconds{60}};
  Milliseconds retry_min{std::chrono::seconds{1}};
  Milliseconds retry_max{std::chrono::minutes{5}};

  bool operator==(const ConnectionOptions&) const = default;
};

struct EnrolmentOptions {
  std::string token_file;  ///< one-time token; empty: the key is registered beforehand
  bool rotate_key = true;  ///< a new key with each renewal

  bool operator==(const EnrolmentOptions&) const = default;
};

struct SpoolSettings {
  std::uint64_t bytes_max = 16 * 1024 * 1024;
  Milliseconds age_max{std::chrono::hours{72}};
};

struct LocalSocketOptions {
  std::string path;  ///< empty: none
  unsigned mode = 0660;
  std::uint32_t lines_per_second = 50;  ///< of one connection
  std::uint32_t burst = 200;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct Configuration {
  std::string device;
  std::string state_dir = "/var/lib/skerry-agent";
  GatewayOptions gateway;
  ConnectionOptions connection;
  EnrolmentOptions enrolment;
  Milliseconds interval{std::chrono::seconds{10}};
  CollectorOptions telemetry;
  SpoolSettings spool;
  LocalSocketOptions local_socket;
  LogLevel log_level = LogLevel::info;
};

/// Throws ConfigurationError; `name` is how errors call the file.
Configuration parse_configuration(const std::string& text, const std::string& name);
Configuration read_configuration(const std::string& path);

/// The first key that differs and cannot be changed while the agent runs; empty: none.
std::string_view fixed_key_changed(const Configuration& before, const Configuration& after);

}  // namespace skerry::agent
