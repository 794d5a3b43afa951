// Log: one line for each event, on standard error: a JSON object, or text on a terminal. Lines are
// handed to a thread of the log's own, so no core ever waits for whoever reads them; when that
// reader is too slow the oldest waiting lines are dropped.
#pragma once

#include <atomic>
#include <initializer_list>
#include <memory>
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

class Log {
 public:
  explicit Log(LogConfiguration configuration);
  /// Writes what is waiting.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void set_level(LogLevel level) noexcept { level_.store(level, std::memory_order_relaxed); }

  /// `event` is a word in snake_case. Any thread, never blocks.
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
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<LogLevel> level_;
  LogFormat format_;
};

}  // namespace skerry::app
