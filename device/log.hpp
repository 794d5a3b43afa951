// One line for each event on standard error: a JSON object, or text on a terminal. What comes from
// outside is escaped, so nobody forges lines. One thread.
#pragma once

#include <initializer_list>
#include <string_view>

#include "device/configuration.hpp"

namespace skerry::agent {

struct LogField {
  std::string_view name;
  std::string_view value;
};

class Log {
 public:
  explicit Log(LogLevel level);

  void set_level(LogLevel level) noexcept { level_ = level; }
  /// `event` is a word for programs, `text` a sentence for people.
  void write(LogLevel level, std::string_view event, std::string_view text,
             std::initializer_list<LogField> fields = {}) const;
  void debug(std::string_view event, std::string_view text) const {
    write(LogLevel::debug, event, text);
  }
  void info(std::string_view event, std::string_view text) const {
    write(LogLevel::info, event, text);
  }
  void warning(std::string_view event, std::string_view text) const {
    write(LogLevel::warning, event, text);
  }
  void error(std::string_view event, std::string_view text) const {
    write(LogLevel::error, event, text);
  }

 private:
  LogLevel level_;
  bool json_;
};

}  // namespace skerry::agent
