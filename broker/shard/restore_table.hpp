// RestoreTable: what all shards learn together while the stored state is read at start, on one
// thread and before any core runs. A message with recipients on several cores gets one Stored here.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/strong_id.hpp"
#include "mqtt/message.hpp"
#include "shard/mail.hpp"

namespace skerry::shard {

class RestoreTable {
 public:
  /// The messages themselves stay on disk, but for those of shared groups.
  struct Entry {
    StoredPtr stored;      ///< null while nobody needs it: a message for one recipient
    mqtt::BlockPtr block;  ///< only for shared groups
    DurableId sole;        ///< the only recipient, else 0
    std::uint32_t size_bytes = 0;
    std::uint32_t expires_seconds = 0;  ///< see session::Paged
    bool wanted = false;                ///< the only recipient is there and has not got it yet
  };

  std::unordered_map<MessageId, Entry> messages;
  /// (message, recipient) pairs that a QoS 2 delivery in flight has taken out of a group's queue.
  std::set<std::pair<std::uint64_t, std::uint64_t>> in_flight;
  std::unordered_set<DurableId> owners;  ///< all sessions and groups that have a record
  std::vector<std::string> orphan_acks;  ///< keys of ack records without a message
};

}  // namespace skerry::shard
