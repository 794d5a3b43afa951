// A mixed fleet from a YAML file: groups of clients that publish by the clock, subscribe, and come
// back now and then.
//
//   groups:
//     - name: sensors
//       count: 500
//       publish: {topic: "devices/{id}/telemetry", payload: telemetry, qos: 1, interval: 10s}
//       subscribe: ["devices/{id}/commands/+/request"]
//       session_expiry: 1h
//       reconnect: 60s
//     - {name: backend, count: 1, subscribe: ["devices/+/telemetry"], qos: 1}
//
// `{id}` is the client id. `payload` is `telemetry` or a number of bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace skerry::bench {

struct Group {
  std::string name;
  std::uint32_t count = 1;
  std::string topic;              ///< empty: publishes nothing
  std::size_t payload_bytes = 0;  ///< 0: telemetry
  int qos = 0;                    ///< of PUBLISH
  bool retain = false;
  std::int64_t interval = 0;  ///< nanoseconds between messages of one client
  std::vector<std::string> filters;
  int subscription_qos = 0;
  std::uint32_t session_expiry = 0;  ///< seconds
  std::int64_t reconnect = 0;        ///< nanoseconds; 0: never
};

struct Profile {
  std::vector<Group> groups;
  std::uint32_t clients() const noexcept;
};

/// Throws Failure that names the line and what to write instead. At most 1 MiB, 100 groups,
/// 1,000,000 clients.
Profile read_profile(const std::string& file);

/// `500ms`, `10s`, `5m`, `1h` as nanoseconds. Throws Failure on anything else and above a year.
std::int64_t duration_of(const std::string& text);

}  // namespace skerry::bench
