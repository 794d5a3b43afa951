#include "device/log.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "device/sample.hpp"
#include "base/now.hpp"

namespace skerry::agent {

namespace {

constexpr std::array<std::string_view, 4> words{"debug", "info", "warning", "error"};

std::string time_text() {
  const std::int64_t now = epoch_milliseconds(read_clocks().wall);
  const std::time_t seconds = now / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(now % 1000));
  return std::string{text.data(), size} + fraction.data();
}

}  // namespace

Log::Log(LogLevel level) : level_(level), json_(isatty(STDERR_FILENO) == 0) {}

void Log::write(LogLevel level, std::string_view event, std::string_view text,
                std::initializer_list<LogField> fields) const {
  if (level < level_) {
    return;
  }
  const std::string_view word = words[static_cast<std::size_t>(level)];
  std::string line;
  if (json_) {
    line = "{\"ts\":\"" + time_text() + "\",\"level\":\"" + std::string{word} +
           "\",\"event\":" + json_string(event) + ",\"message\":" + json_string(text);
    for (const LogField& field : fields) {
      line += ',' + json_string(field.name) + ':' + json_string(field.value);
    }
    line += "}\n";
  } else {
    const std::string safe = json_string(text);
    line = time_text() + ' ' + std::string{word} + ' ' + std::string{event} + ": " +
           safe.substr(1, safe.size() - 2);
    for (const LogField& field : fields) {
      line += ' ' + std::string{field.name} + '=' + json_string(field.value);
    }
    line += '\n';
  }
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace skerry::agent
