#include "telemetry.hpp"

#include <chrono>
#include <cstdio>

namespace skerry::bench {

std::string telemetry(std::int64_t time_ms, std::uint64_t sequence) {
  char text[176];
  const auto wave = static_cast<unsigned>(sequence * 7 % 1000);
  const int size = std::snprintf(
      text, sizeof text,
      "{\"ts\":%013lld,\"temperature\":2%01u.%02u,\"humidity\":4%01u.%01u,\"pressure\":10%02u.%01u,"
      "\"count\":1%09llu,\"on\":%s}",
      static_cast<long long>(time_ms), wave / 100, wave % 100, wave / 100, wave % 10, wave / 10,
      wave % 10, static_cast<unsigned long long>(sequence % 1'000'000'000),
      sequence / 100 % 2 == 0 ? "true " : "false");
  return {text, static_cast<std::size_t>(size)};
}

std::int64_t epoch_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace skerry::bench
