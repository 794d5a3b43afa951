#include "session/acknowledgements.hpp"

#include <utility>

namespace skerry::session {

Acknowledgement* Acknowledgements::open(GateId gate) noexcept {
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (waiting_[i].gate == gate) {
      waiting_[i].gate = GateId{};
      return &waiting_[i];
    }
  }
  return nullptr;
}

std::optional<Acknowledgement> Acknowledgements::take() {
  if (waiting_.empty() || waiting_.front().gate != GateId{}) {
    return std::nullopt;
  }
  std::optional<Acknowledgement> front(std::move(waiting_.front()));
  waiting_.pop_front();
  return front;
}

}  // namespace skerry::session
