// Linking records on the committer's thread.
//
// After a failed write nobody knows what of the group reached the disk. So whenever the store has
// been reopened, the end of the chain is read from it again before the next record is linked: what
// did survive stays a part of the chain, what did not is never referred to.
#include "auth/audit.hpp"

#include <memory>

#include "crypto/hash.hpp"

namespace skerry::auth {

Audit::Audit(storage::Committer& committer, const storage::KvStore& store, Clock clock)
    : committer_(committer), store_(store), clock_(std::move(clock)) {}

Audit::Loaded Audit::load() {
  Loaded loaded;
  loaded.status = read_end(next_after_, loaded.is_damaged);
  const std::lock_guard lock{mutex_};
  durable_ = next_after_;
  reopens_ = committer_.statistics().reopens.load();
  return loaded;
}

storage::Status Audit::read_end(AuditHead& end, bool& is_damaged) const {
  const auto records = store_.scan(storage::Family::admin,
                                   {std::string{audit_prefix}, storage::prefix_end(audit_prefix)});
  if (!records) {
    return {storage::StatusCode::closed, "the store is closed"};
  }
  records->seek_last();
  if (!records->status().ok()) {
    return records->status();
  }
  if (!records->valid()) {
    std::string value;
    storage::Status status = store_.get(storage::Family::admin, audit_anchor_key, value);
    end = {};
    if (status.ok()) {
      // Pruning leaves the last record, so somebody else has taken it.
      is_damaged = true;
      const auto anchor = read_anchor(value);
      end = anchor ? AuditHead{anchor->first - 1, anchor->previous} : AuditHead{};
    }
    return status.code == storage::StatusCode::not_found ? storage::Status{} : status;
  }
  const auto last = read_audit(records->key(), records->value());
  if (last && last->is_sound) {
    end = {last->record.sequence, last->hash};
    return {};
  }
  is_damaged = true;
  end = {sequence_of(records->key()), last ? last->hash : std::string(32, '\0')};
  return {};
}

storage::Status Audit::link(const plugin::AuditEvent& event, storage::Batch& batch,
                            AuditHead& place) {
  const std::uint64_t reopens = committer_.statistics().reopens.load();
  if (reopens != reopens_) {
    bool is_damaged = false;
    storage::Status status = read_end(next_after_, is_damaged);
    if (!status.ok()) {
      return status;
    }
    reopens_ = reopens;
  }
  const AuditRecord record{next_after_.sequence + 1, clock_().wall, event};
  const std::string value = link_audit(record, next_after_);
  batch.put(storage::Family::admin, audit_key(record.sequence), value);
  place = next_after_;
  return {};
}

void Audit::submit(storage::Batch batch, plugin::AuditEvent event, storage::Committer::Done done) {
  clean(event);
  // Both run on the committer's thread, one after the other.
  const auto place = std::make_shared<AuditHead>();
  auto finish = [this, event = std::move(event), place](storage::Batch& whole) {
    return link(event, whole, *place);
  };
  auto finished = [this, place, done = std::move(done)](const storage::Status& status) {
    if (status.ok()) {
      records_.fetch_add(1, std::memory_order_relaxed);
      const std::lock_guard lock{mutex_};
      durable_ = std::move(*place);
    }
    if (done) {
      done(status);
    }
  };
  committer_.submit(std::move(batch), std::move(finished), std::move(finish));
}

void Audit::note(plugin::AuditEvent event) {
  const plugin::Refusal refusal{event.actor,   event.action, event.object,
                                event.outcome, event.detail, event.address};
  refused(refusal);
}

void Audit::refused(const plugin::Refusal& refusal) noexcept {
  if (!refusals_.admit(refusal, clock_().steady)) {
    return;
  }
  submit({}, event_of(refusal), [this](const storage::Status& status) {
    if (!status.ok()) {
      lost_.fetch_add(1, std::memory_order_relaxed);
    }
  });
}

void Audit::sum_up(bool all) {
  for (plugin::AuditEvent& event : refusals_.take_summaries(clock_().steady, all)) {
    submit({}, std::move(event), [this](const storage::Status& status) {
      if (!status.ok()) {
        lost_.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
}

void Audit::prune(WallTime before, std::size_t records_max,
                  std::function<void(std::uint64_t)> done) {
  const auto records = store_.scan(storage::Family::admin,
                                   {std::string{audit_prefix}, storage::prefix_end(audit_prefix)});
  AuditAnchor anchor;
  std::uint64_t first = 0;
  std::uint64_t dropped = 0;
  const std::uint64_t last = head().sequence;
  if (records) {
    for (records->seek_first(); records->valid() && dropped < records_max; records->next()) {
      const auto stored = read_audit(records->key(), records->value());
      // Damaged records stay where they are, for verify to find.
      if (!stored || !stored->is_sound || stored->record.time >= before ||
          stored->record.sequence >= last) {
        break;
      }
      first = first == 0 ? stored->record.sequence : first;
      anchor = {stored->record.sequence + 1, stored->hash};
      ++dropped;
    }
  }
  if (dropped == 0) {
    done(0);
    return;
  }
  storage::Batch batch;
  batch.erase_range(storage::Family::admin, audit_key(first), audit_key(anchor.first));
  batch.put(storage::Family::admin, audit_anchor_key, encode_anchor(anchor));
  plugin::AuditEvent event;
  event.actor = "system";
  event.action = "audit.prune";
  event.object = "audit";
  event.outcome = "ok";
  event.detail = "dropped records " + std::to_string(first) + " to " +
                 std::to_string(anchor.first - 1) + ", the last with hash " +
                 crypto::to_hex(anchor.previous);
  submit(std::move(batch), std::move(event),
         [dropped, done = std::move(done)](const storage::Status& status) {
           done(status.ok() ? dropped : 0);
         });
}

AuditHead Audit::head() const {
  const std::lock_guard lock{mutex_};
  return durable_;
}

Audit::Statistics Audit::statistics() const {
  return {records_.load(std::memory_order_relaxed), refusals_.summed_up(),
          lost_.load(std::memory_order_relaxed)};
}

}  // namespace skerry::auth
