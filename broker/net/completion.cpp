// Groups that end alike are one entry, so a core that is late finds a short list.
#include "net/completion.hpp"

#include <utility>

namespace skerry::net {

void Completion::committed(std::uint64_t last_ticket, const storage::Status& status) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = groups_.empty();
    if (!first && groups_.back().status.code == status.code) {
      groups_.back().last_ticket = last_ticket;
    } else {
      groups_.push_back({last_ticket, status});
    }
  }
  if (first) {
    work_.post(std::cref(wake_));
  }
}

std::vector<Completion::Group> Completion::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(groups_, {});
}

}  // namespace skerry::net
