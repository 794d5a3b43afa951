// RestoreTable: what all shards learn together while the stored state is read at start, on one
// thread and before any core runs. A message with recipients on several cores gets one Stored here.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/strong_id.hpp"
#include "mqtt/message.hpp"
#include "shard/mail.hpp"

namespace skerry::shard {

class RestoreTable {
 public:
  struct Entry {
    StoredPtr stored;
    mqtt::BlockPtr block;
    std::vector<Recipient> recipients;
    std::uint32_t acknowledged = 0;  ///< recipients with an ack record
  };

  std::unordered_map<MessageId, Entry> messages;
  /// (message, recipient) pairs that a QoS 2 delivery in flight has taken out of a group's queue.
  std::set<std::pair<std::uint64_t, std::uint64_t>> in_flight;
  std::vector<std::string> orphan_acks;  ///< keys of ack records without a message
};

}  // namespace skerry::shard
