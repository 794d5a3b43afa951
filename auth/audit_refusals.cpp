#include "auth/audit_refusals.hpp"

#include <algorithm>

#include "auth/audit_record.hpp"

namespace skerry::auth {
namespace {

/// "4,312"
std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string in_window() {
  return " in " + std::to_string(audit_refusal_window.count()) + " s";
}

}  // namespace

bool RefusalTable::admit(const plugin::Refusal& refusal, SteadyTime now) {
  const std::lock_guard lock{mutex_};
  key_.assign(refusal.actor).append(1, '\0').append(refusal.action).append(1, '\0');
  key_.append(refusal.outcome).append(1, '\0').append(refusal.rule);
  if (const auto known = windows_.find(key_); known != windows_.end()) {
    ++known->second.more;
    ++summed_up_;
    return false;
  }
  if (windows_.size() >= audit_refusals_told_apart_max) {
    if (overflow_ == 0) {
      overflow_ends_ = now + audit_refusal_window;
    }
    ++overflow_;
    ++summed_up_;
    return false;
  }
  const bool at_once = at_once_.take(now);
  Window window;
  window.event = event_of(refusal);
  clean(window.event);
  window.ends = now + audit_refusal_window;
  window.more = at_once ? 0 : 1;
  summed_up_ += window.more;
  windows_.emplace(key_, std::move(window));
  return at_once;
}

std::vector<plugin::AuditEvent> RefusalTable::take_summaries(SteadyTime now, bool all) {
  std::vector<plugin::AuditEvent> events;
  const std::lock_guard lock{mutex_};
  for (auto it = windows_.begin(); it != windows_.end();) {
    Window& window = it->second;
    if (window.ends > now && !all) {
      ++it;
      continue;
    }
    if (window.more == 0) {
      it = windows_.erase(it);
      continue;
    }
    plugin::AuditEvent event = window.event;
    event.detail += "; and " + with_commas(window.more) + " more" + in_window();
    events.push_back(std::move(event));
    window.more = 0;
    window.ends = now + audit_refusal_window;
    ++it;
  }
  if (overflow_ > 0 && (overflow_ends_ <= now || all)) {
    plugin::AuditEvent event;
    event.actor = "system";
    event.action = "audit.refusals";
    event.outcome = "denied";
    event.detail = with_commas(overflow_) + " refusals of further actors" + in_window();
    events.push_back(std::move(event));
    overflow_ = 0;
  }
  return events;
}

std::uint64_t RefusalTable::summed_up() const {
  const std::lock_guard lock{mutex_};
  return summed_up_;
}

}  // namespace skerry::auth
