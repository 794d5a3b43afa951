#include "auth/audit_reader.hpp"

#include "base/limits.hpp"

namespace skerry::auth {
namespace {

bool fits(std::string_view pattern, std::string_view text) {
  if (!pattern.empty() && pattern.back() == '*') {
    pattern.remove_suffix(1);
    return text.starts_with(pattern);
  }
  return pattern.empty() || pattern == text;
}

bool fits(const AuditFilter& filter, const AuditRecord& record) {
  return (!filter.from || record.time >= *filter.from) &&
         (!filter.to || record.time < *filter.to) && fits(filter.actor, record.event.actor) &&
         fits(filter.action, record.event.action) && fits(filter.object, record.event.object);
}

storage::KeyRange all_records() {
  return {std::string{audit_prefix}, storage::prefix_end(audit_prefix)};
}

storage::Status closed() {
  return {storage::StatusCode::closed, "the store is closed"};
}

void place(storage::Iterator& records, std::optional<std::uint64_t> start, bool newest_first) {
  if (!start) {
    newest_first ? records.seek_last() : records.seek_first();
  } else if (newest_first) {
    records.seek_before(audit_key(*start));
  } else {
    records.seek(audit_key(*start));
  }
}

}  // namespace

AuditPage read_audit_page(const storage::KvStore& store, const AuditFilter& filter,
                          std::optional<std::uint64_t> start, bool newest_first,
                          std::size_t limit) {
  AuditPage page;
  const auto records = store.scan(storage::Family::admin, all_records());
  if (!records) {
    page.status = closed();
    return page;
  }
  std::size_t visits = 0;
  place(*records, start, newest_first);
  for (; records->valid(); newest_first ? records->previous() : records->next()) {
    auto stored = read_audit(records->key(), records->value());
    if (stored && (page.records.size() >= limit || visits >= audit_visits_max)) {
      page.next = stored->record.sequence;
      break;
    }
    ++visits;
    if (stored && fits(filter, stored->record)) {
      page.records.push_back(*std::move(stored));
    }
  }
  page.status = records->status();
  return page;
}

bool AuditVerifier::fail(std::uint64_t sequence, std::string what) {
  finding_.ok = false;
  finding_.broken = sequence;
  finding_.what = std::move(what);
  return false;
}

/// Finds out where the chain has to begin.
bool AuditVerifier::begin() {
  std::string value;
  storage::Status status = store_.get(storage::Family::admin, audit_anchor_key, value);
  AuditAnchor anchor;
  if (status.ok()) {
    const auto read = read_anchor(value);
    if (!read) {
      return fail(1, "the anchor of the chain cannot be read");
    }
    anchor = *read;
  } else if (status.code != storage::StatusCode::not_found) {
    finding_.status = std::move(status);
    return false;
  }
  begun_ = true;
  at_ = {anchor.first - 1, anchor.previous};
  return true;
}

/// Records may be dropped by age while we walk: then the chain begins behind where we are.
bool AuditVerifier::restart_behind_prune() {
  const std::uint64_t expected = at_.sequence + 1;
  const AuditHead before = at_;
  if (!begin() || at_.sequence + 1 <= expected) {
    at_ = before;
    return false;
  }
  finding_.first = 0;
  return true;
}

bool AuditVerifier::step(std::size_t count) {
  if (!begun_ && !begin()) {
    return false;
  }
  const auto records = store_.scan(storage::Family::admin, all_records());
  if (!records) {
    finding_.status = closed();
    return false;
  }
  records->seek(at_.sequence == 0 ? std::string{audit_prefix} : audit_key(at_.sequence + 1));
  for (std::size_t done = 0; done < count; ++done, records->next()) {
    const std::uint64_t expected = at_.sequence + 1;
    if (!records->valid()) {
      finding_.status = records->status();
      finding_.end = at_;
      if (finding_.status.ok() && at_.sequence < head_.sequence) {
        fail(expected, "records are missing at the end");
      }
      return false;
    }
    const auto stored = read_audit(records->key(), records->value());
    if (records->key() != audit_key(expected)) {
      if (restart_behind_prune()) {
        return true;
      }
      return fail(expected, "the record is missing");
    }
    ++finding_.checked;
    if (!stored || !stored->is_sound) {
      return fail(expected, "the record was changed: its hash does not fit");
    }
    if (stored->previous != at_.hash) {
      return fail(expected, "the record is not linked to the one before it");
    }
    if (expected == head_.sequence && stored->hash != head_.hash) {
      return fail(expected, "the record is not the one that this server has stored");
    }
    finding_.first = finding_.first == 0 ? expected : finding_.first;
    at_ = {expected, stored->hash};
    finding_.end = at_;
  }
  return true;
}

}  // namespace skerry::auth
