// The engine's logger and listener. Both may be called from any of the engine's threads.
#include "storage/rocks_log.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>

namespace skerry::storage {

namespace {

class ForwardingLogger final : public rocksdb::Logger {
 public:
  explicit ForwardingLogger(EngineLog log)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(std::move(log)) {}

  using rocksdb::Logger::Logv;

  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    const bool wanted = level == rocksdb::InfoLogLevel::WARN_LEVEL ||
                        level == rocksdb::InfoLogLevel::ERROR_LEVEL ||
                        level == rocksdb::InfoLogLevel::FATAL_LEVEL;
    if (wanted) {
      forward(format, arguments);
    }
  }

  /// Without a level: informational.
  void Logv(const char*, va_list) override {}
  void LogHeader(const char*, va_list) override {}

 private:
  void forward(const char* format, va_list arguments) {
    char line[1024];
    const int length = std::vsnprintf(line, sizeof line, format, arguments);
    if (length <= 0) {
      return;
    }
    std::string_view text(line, std::min(static_cast<std::size_t>(length), sizeof line - 1));
    while (!text.empty() && text.back() == '\n') {
      text.remove_suffix(1);
    }
    log_(text);
  }

  EngineLog log_;
};

class NoRecoveryListener final : public rocksdb::EventListener {
 public:
  explicit NoRecoveryListener(EngineLog log) : log_(std::move(log)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    log_("background error: " + status->ToString());
  }

  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  EngineLog log_;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> make_engine_logger(EngineLog log) {
  return std::make_shared<ForwardingLogger>(std::move(log));
}

std::shared_ptr<rocksdb::EventListener> make_engine_listener(EngineLog log) {
  return std::make_shared<NoRecoveryListener>(std::move(log));
}

}  // namespace skerry::storage
