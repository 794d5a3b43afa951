// What the engine has to say, and what it must not do by itself. Its own log file is replaced,
// because an engine built with assertions aborts when that file cannot grow; and its own recovery
// from background errors is switched off, because a write after such a recovery aborts as well.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <functional>
#include <memory>
#include <string_view>

namespace skerry::storage {

using EngineLog = std::function<void(std::string_view)>;

/// Forwards warnings and worse to `log`, one line each, and drops the rest.
std::shared_ptr<rocksdb::Logger> make_engine_logger(EngineLog log);

/// Forbids automatic recovery and reports background errors to `log`.
std::shared_ptr<rocksdb::EventListener> make_engine_listener(EngineLog log);

}  // namespace skerry::storage
