// Status: how a storage call ended. Mapped once from the engine's own codes and once, in the shard,
// to what a peer is told; nothing in between swallows it.
#pragma once

#include <cstdint>
#include <string>

namespace skerry::storage {

enum class StatusCode : std::uint8_t {
  ok,
  not_found,
  full,         ///< no space left, or over a quota: nothing of the batch is stored
  io_error,     ///< read, write or sync failed: nothing of the batch may be counted on
  corruption,   ///< a record or file does not check out
  closed,       ///< the store is closed or being reopened; try again later
  unsupported,  ///< the data directory has a newer format
};

struct [[nodiscard]] Status {
  StatusCode code = StatusCode::ok;
  std::string detail;  ///< for logs; empty when ok

  bool ok() const noexcept { return code == StatusCode::ok; }
};

}  // namespace skerry::storage
