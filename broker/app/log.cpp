// The only place that knows spdlog: an asynchronous logger with one sink, used for its queue.
#include "app/log.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <utility>

#include "mqtt/topic.hpp"

namespace skerry::app {

namespace {

constexpr std::size_t queue_lines_max = 8'192;
constexpr std::size_t events_max = 1'000;
constexpr std::size_t value_bytes_max = 4'096;

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::information:
      return "information";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return {};
}

void append_escaped(std::string& out, std::string_view text) {
  text = text.substr(0, value_bytes_max);
  const bool is_utf8 = mqtt::is_valid_utf8(text);
  for (const char character : text) {
    const auto byte = static_cast<std::uint8_t>(character);
    if (character == '"' || character == '\\') {
      out.push_back('\\');
      out.push_back(character);
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(byte));
      out.append(escape.data());
    } else {
      out.push_back(byte >= 0x80 && !is_utf8 ? '?' : character);
    }
  }
}

/// "2026-11-22T17:09:31.123Z"
std::string time_text(WallTime time) {
  const std::int64_t milliseconds = epoch_milliseconds(time);
  const auto seconds = static_cast<std::time_t>(milliseconds / 1'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03dZ",
                static_cast<int>(milliseconds % 1'000));
  return text.data();
}

}  // namespace

std::string log_line(LogFormat format, WallTime time, LogLevel level, std::string_view event,
                     std::initializer_list<LogField> fields) {
  const bool json = format == LogFormat::json;
  std::string line = json ? "{\"ts\":\"" : "";
  line += time_text(time);
  line += json ? "\",\"level\":\"" : " ";
  line += name_of(level);
  line += json ? "\",\"event\":\"" : " ";
  append_escaped(line, event);
  line += json ? "\"" : "";
  for (const LogField& field : fields) {
    if (field.value.empty()) {
      continue;
    }
    line += json ? ",\"" : " ";
    line += field.name;
    line += json ? "\":\"" : "=\"";
    append_escaped(line, field.value);
    line += "\"";
  }
  line += json ? "}" : "";
  return line;
}

LogLimiter::Verdict LogLimiter::ask(std::string_view event, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  auto found = windows_.find(event);
  if (found == windows_.end()) {
    if (windows_.size() >= events_max) {
      return {};
    }
    found = windows_.emplace(std::string(event), Window{now, 0, 0}).first;
  }
  Window& window = found->second;
  if (now - window.begin >= Seconds(1)) {
    window.begin = now;
    window.lines = 0;
  }
  if (++window.lines > log_lines_per_second_max) {
    ++window.suppressed;
    return {false, 0};
  }
  return {true, std::exchange(window.suppressed, 0)};
}

struct Log::Impl {
  std::shared_ptr<spdlog::details::thread_pool> pool =
      std::make_shared<spdlog::details::thread_pool>(queue_lines_max, 1);
  std::shared_ptr<spdlog::async_logger> logger = std::make_shared<spdlog::async_logger>(
      "skerry", std::make_shared<spdlog::sinks::stderr_sink_mt>(), pool,
      spdlog::async_overflow_policy::overrun_oldest);
};

Log::Log(LogConfiguration configuration)
    : impl_(std::make_unique<Impl>()), level_(configuration.level), format_(configuration.format) {
  if (format_ == LogFormat::automatic) {
    format_ = ::isatty(STDERR_FILENO) == 1 ? LogFormat::text : LogFormat::json;
  }
  impl_->logger->set_pattern("%v");
  impl_->logger->set_level(spdlog::level::trace);
  impl_->logger->flush_on(spdlog::level::trace);
}

Log::~Log() = default;

void Log::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level < level_.load(std::memory_order_relaxed)) {
    return;
  }
  const Now now = read_clocks();
  const LogLimiter::Verdict verdict = limiter_.ask(event, now.steady);
  if (!verdict.pass) {
    return;
  }
  if (verdict.suppressed > 0) {
    const std::string count = std::to_string(verdict.suppressed) + " lines were held back";
    put(log_line(format_, now.wall, level, event, {{"suppressed", count}}));
  }
  put(log_line(format_, now.wall, level, event, fields));
}

void Log::put(const std::string& line) {
  impl_->logger->log(spdlog::level::info, spdlog::string_view_t(line));
}

}  // namespace skerry::app
