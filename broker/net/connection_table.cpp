// Slots are used again last freed first, which keeps the table dense.
#include "net/connection_table.hpp"

#include "base/assert.hpp"

namespace skerry::net {

Connection& ConnectionTable::insert(std::unique_ptr<Connection> connection, ConnectionId& id) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  id.slot = free_.back();
  free_.pop_back();
  Slot& slot = slots_[id.slot];
  id.generation = slot.generation;
  slot.connection = std::move(connection);
  ++size_;
  return *slot.connection;
}

std::unique_ptr<Connection> ConnectionTable::remove(ConnectionId id) noexcept {
  SKERRY_ASSERT(find(id) != nullptr);
  Slot& slot = slots_[id.slot];
  ++slot.generation;
  --size_;
  free_.push_back(id.slot);
  return std::move(slot.connection);
}

}  // namespace skerry::net
