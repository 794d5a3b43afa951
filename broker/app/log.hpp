// Log: one line for each event, on standard error: a JSON object, or text on a terminal. Lines are
// handed to a thread of the log's own, so no core ever waits for whoever reads them; when that
// reader is too slow the oldest waiting lines are dropped.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "app/configuration.hpp"
#include "base/now.hpp"

namespace skerry::app {

struct LogField {
  std::string_view name;
  std::string_view value;
};

/// One line without its end. Control characters are escaped and bytes that are no UTF-8 replaced in
/// both forms, so a peer can neither forge lines nor steer a terminal. Empty values are left out.
std::string log_line(LogFormat format, WallTime time, LogLevel level, std::string_view event,
                     std::initializer_list<LogField> fields);

/// Lets so many lines of one event pass in a second, so that a peer who provokes denials in a loop
/// neither fills the disk nor drowns what others say. Any thread.
class LogLimiter {
 public:
  struct Verdict {
    bool pass = true;
    std::uint64_t suppressed = 0;  ///< lines of this event held back before this one
  };
  /// `event` is one of a small number of words.
  Verdict ask(std::string_view event, SteadyTime now);

 private:
  struct Window {
    SteadyTime begin{};
    std::uint32_t lines = 0;
    std::uint64_t suppressed = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Window, std::less<>> windows_;
};

inline constexpr std::uint32_t log_lines_per_second_max = 100;

class Log {
 public:
  explicit Log(LogConfiguration configuration);
  /// Writes what is waiting.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void set_level(LogLevel level) noexcept { level_.store(level, std::memory_order_relaxed); }

  /// `event` is a word in snake_case. At most log_lines_per_second_max lines of one event go out in
  /// a second; the next one that does says how many did not. Any thread, never blocks.
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);

  void information(std::string_view event, std::string_view detail) {
    write(LogLevel::information, event, {{"detail", detail}});
  }
  void warning(std::string_view event, std::string_view detail) {
    write(LogLevel::warning, event, {{"detail", detail}});
  }
  void error(std::string_view event, std::string_view detail) {
    write(LogLevel::error, event, {{"detail", detail}});
  }

 private:
  void put(const std::string& line);

  struct Impl;
  std::unique_ptr<Impl> impl_;
  LogLimiter limiter_;
  std::atomic<LogLevel> level_;
  LogFormat format_;
};

}  // namespace skerry::app
