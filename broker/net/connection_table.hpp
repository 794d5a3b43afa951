// ConnectionTable: the connections of one core by slot and generation, so that an event, a timer or
// an answer that comes late never finds somebody else's connection.
#pragma once

#include <memory>
#include <vector>

#include "net/connection.hpp"

namespace skerry::net {

class ConnectionTable {
 public:
  /// Takes the connection and gives it its id. Amortised O(1).
  Connection& insert(std::unique_ptr<Connection> connection, ConnectionId& id);

  /// nullptr when it has gone. O(1).
  Connection* find(ConnectionId id) const noexcept {
    return id.slot < slots_.size() && slots_[id.slot].generation == id.generation
               ? slots_[id.slot].connection.get()
               : nullptr;
  }
  Connection* at_slot(std::uint32_t slot) const noexcept {
    return slot < slots_.size() ? slots_[slot].connection.get() : nullptr;
  }

  /// Takes the connection out; its id is never valid again.
  std::unique_ptr<Connection> remove(ConnectionId id) noexcept;

  std::size_t size() const noexcept { return size_; }
  std::uint32_t slot_count() const noexcept { return static_cast<std::uint32_t>(slots_.size()); }

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    std::uint32_t generation = 1;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace skerry::net
