// Reading: how messages of long queues come back from disk. A shard asks by Outside::read, a reader
// thread calls read_messages(), and the answer comes in a turn of the shard, Shard::on_read().
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shard/records.hpp"
#include "storage/kv_store.hpp"

namespace skerry::shard {

struct ReadRequest {
  std::uint64_t session = 0;
  std::uint32_t serial = 0;  ///< given back: an answer to an earlier connection is told apart
  std::vector<MessageId> ids;
};

struct ReadAnswer {
  struct Message {
    MessageId id;
    std::optional<MessageRecord> record;  ///< none: the record is gone or damaged
  };

  std::uint64_t session = 0;
  std::uint32_t serial = 0;
  /// The store could not be read, or nobody was free to do so: `messages` holds what was read
  /// before, and the rest is asked for again.
  bool failed = false;
  std::vector<Message> messages;  ///< in the order of the request
};

/// Reads what was asked for, in its order. Blocks: for a reader thread, never for a core.
ReadAnswer read_messages(const storage::KvStore& store, const ReadRequest& request);

}  // namespace skerry::shard
