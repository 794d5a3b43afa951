// MemoryDoors: whether the process takes new connections, by how near it is to its memory budget.
// Shut at the first sign of pressure, open again only when there has been none for a while: what
// comes in through doors that open at once would push it over again, with a TLS handshake each.
#pragma once

#include "base/memory_budget.hpp"
#include "base/now.hpp"

namespace skerry::app {

class MemoryDoors {
 public:
  /// How long it must have been calm before anybody new comes in.
  static constexpr Milliseconds reopens_after{2'000};

  /// Are they shut now, as each measurement shows `level`? One thread.
  bool shut(MemoryBudget::Level level, SteadyTime now) noexcept {
    if (level != MemoryBudget::Level::calm) {
      shut_until_ = now + reopens_after;
    }
    return now < shut_until_;
  }

 private:
  SteadyTime shut_until_ = SteadyTime::min();
};

}  // namespace skerry::app
