// PendingErasures: sessions that have ended and whose records may still be on disk. A crash would
// bring such a session back, so a client must not hear of a new one before.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/strong_id.hpp"
#include "shard/mail.hpp"

namespace skerry::shard {

/// Belongs to one core.
class PendingErasures {
 public:
  /// The records of `id`, the session of `key`, are erased by batch `ticket`.
  void add(DurableId id, const std::string& key, std::uint64_t ticket) {
    if (by_id_.emplace(id, Entry{key, ticket}).second) {
      ++keys_[key];
    }
  }

  /// Batch `ticket`, which had something of `id`, is on disk.
  void on_stored(DurableId id, std::uint64_t ticket) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || ticket < found->second.ticket) {
      return;
    }
    const auto key = keys_.find(found->second.key);
    if (--key->second == 0) {
      keys_.erase(key);
    }
    by_id_.erase(found);
  }

  bool contains(const std::string& key) const { return keys_.contains(key); }
  std::size_t size() const noexcept { return by_id_.size(); }

 private:
  struct Entry {
    std::string key;
    std::uint64_t ticket = 0;
  };
  std::unordered_map<DurableId, Entry> by_id_;
  std::unordered_map<std::string, std::uint32_t> keys_;
};

}  // namespace skerry::shard
