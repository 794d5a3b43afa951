// Restore: shows what is stored to the cores at start, family by family.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "app/log.hpp"
#include "base/now.hpp"
#include "net/server.hpp"
#include "storage/committer.hpp"
#include "storage/kv_store.hpp"

namespace skerry::app {

struct Restored {
  std::uint64_t records = 0;
  std::uint64_t damaged = 0;   ///< skipped, each with a line in the log
  std::uint64_t orphaned = 0;  ///< sessions of devices that are not registered: erased
};

/// Is shown each record that cannot be read, before anything is erased.
using SetAside =
    std::function<void(storage::Family family, std::string_view key, std::string_view value)>;

using IsRegistered = std::function<bool(std::string_view device)>;

/// Before Server::start(). Throws std::runtime_error when the store cannot be read. Blocks.
///
/// A server that dies while it deletes a device may leave sessions of that device behind: these are
/// not restored, so that their wills are not published and the next device of this id does not
/// resume them.
Restored restore_sessions(const storage::KvStore& store, storage::Committer& committer,
                          const IsRegistered& is_registered, net::Server& server, Log& log, Now now,
                          const SetAside& set_aside = {});

}  // namespace skerry::app
