// Is there room for more in the output of a session's connection, and why not.
#include <algorithm>

#include "session/session.hpp"

namespace skerry::session {

bool Session::has_room_behind(std::size_t unsent) const noexcept {
  return unsent < host_.output_bytes_max() &&
         (unsent < output_bytes_least ||
          unsent < link_->output_share(host_.limits().output_bytes_max));
}

bool Session::has_room_for_retained() const noexcept {
  constexpr std::size_t queued_max = 64;
  if (!connected()) {
    return true;
  }
  const std::size_t share = link_->output_share(host_.output_bytes_max());
  return open_ && unsent_bytes() < std::min(share, host_.output_bytes_max()) / 2 &&
         queue_.size() < queued_max;
}

DropReason Session::why_full(std::size_t unsent) const noexcept {
  if (unsent >= host_.limits().output_bytes_max) {
    return DropReason::output_full;
  }
  return unsent >= host_.output_bytes_max() ? DropReason::memory : DropReason::listener_full;
}

}  // namespace skerry::session
