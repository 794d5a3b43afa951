// Restore: shows what is stored to the cores at start, family by family.
#pragma once

#include <cstdint>

#include "app/log.hpp"
#include "base/now.hpp"
#include "net/server.hpp"
#include "storage/kv_store.hpp"

namespace skerry::app {

struct Restored {
  std::uint64_t records = 0;
  std::uint64_t damaged = 0;  ///< skipped, each with a line in the log
};

/// Before Server::start(). Throws std::runtime_error when the store cannot be read. Blocks.
Restored restore_sessions(const storage::KvStore& store, net::Server& server, Log& log, Now now);

}  // namespace skerry::app
