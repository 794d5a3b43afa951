// Outside: all that a shard asks of the world: other cores and the committer. net::Core implements
// it with an event loop, the simulator with virtual time.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/strong_id.hpp"
#include "shard/mail.hpp"
#include "shard/reading.hpp"
#include "storage/batch.hpp"

namespace skerry::shard {

class Outside {
 public:
  /// Carries a batch of mail to another core; batches of one pair of cores arrive in order. At most
  /// one call per destination and turn.
  virtual void send(CoreIndex to, MailBatch mail) = 0;

  /// Hands a batch to the committer. Shard::on_committed(ticket, status) follows; tickets grow by
  /// one and complete in order.
  virtual void commit(storage::Batch batch, std::uint64_t ticket) = 0;

  /// Has a reader thread call read_messages(); Shard::on_read() follows in a turn of its own, once
  /// for each request and in any order, with `failed` when no reader is free.
  virtual void read(ReadRequest request) = 0;

  /// The committer or a mailbox is above its limit: durable publishers should be held back.
  virtual bool congested() const noexcept = 0;

  /// More waits for `core` than a mailbox may hold: QoS 0 for it is dropped and counted.
  virtual bool mailbox_full(CoreIndex core) const noexcept {
    static_cast<void>(core);
    return false;
  }

  /// Disk space has run low: work that would take more of it is refused, erasures go on.
  virtual bool space_low() const noexcept { return false; }

  /// One line for the log. `level`: 0 debug, 1 information, 2 warning, 3 error.
  virtual void log(int level, std::string_view event, std::string_view client,
                   std::string_view detail) = 0;

 protected:
  ~Outside() = default;
};

}  // namespace skerry::shard
