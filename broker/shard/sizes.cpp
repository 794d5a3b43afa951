// How much a shard holds, container by container.

#include "shard/shard_impl.hpp"

namespace skerry::shard {

std::vector<Shard::Size> Shard::sizes() const {
  const Impl& shard = *impl_;
  std::size_t mail = shard.own_mail.size();
  for (const MailBatch& batch : shard.outbox) {
    mail += batch.items.size();
  }
  return {{"sessions", shard.sessions.size()},
          {"sessions by number", shard.by_id.size()},
          {"sessions by durable number", shard.by_durable.size()},
          {"credentials", shard.credentials.size()},
          {"filters", shard.filters.size()},
          {"interests", shard.interests.size()},
          {"retained messages", shard.retained.count()},
          {"groups", shard.groups.size()},
          {"group states", shard.group_states.size()},
          {"group numbers", shard.group_numbers.size()},
          {"groups to drain", shard.groups_to_drain.size()},
          {"gates", shard.gates.size()},
          {"held publishers", shard.held.size()},
          {"publishers with unwritten messages", shard.unwritten.size()},
          {"waiting for a commit", shard.waiting_for_commit.size()},
          {"doubtful packet ids", shard.doubtful_ids.size()},
          {"doubtful acks", shard.doubtful_acks.size()},
          {"unstored", shard.unstored.size()},
          {"unstored records", shard.unstored_records.size()},
          {"pending erasures", shard.pending_erasures.size()},
          {"sessions to page", shard.to_page.size()},
          {"sessions to read", shard.to_read.size()},
          {"sessions to read again", shard.read_again.size()},
          {"open reads", shard.reads_open},
          {"abandoned queues", shard.abandoned.size()},
          {"early tick-offs", shard.early_tick_offs.size()},
          {"broker messages", shard.broker_messages.size()},
          {"retained scans", shard.scans.ready.size()},
          {"scanning", shard.scans.known.size()},
          {"sliced scans", shard.scans.sliced.size()},
          {"held slices", shard.scans.held.size()},
          {"paused sessions", shard.paused.size()},
          {"restored acks", shard.restored_acks.size()},
          {"removed sessions", shard.graveyard.size()},
          {"mail", mail}};
}

}  // namespace skerry::shard
