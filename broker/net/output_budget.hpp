// OutputBudget: what all connections of one listener hold in their outputs together, and what one
// of them may have of it. Those that hold most are cut first; see MemoryBudget::share.
#pragma once

#include <atomic>
#include <cstddef>

#include "base/limits.hpp"
#include "base/memory_budget.hpp"

namespace skerry::net {

/// All cores add to one.
class OutputBudget {
 public:
  explicit OutputBudget(std::size_t limit_bytes) noexcept : limit_(limit_bytes) {}

  void add(std::size_t bytes) noexcept { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void subtract(std::size_t bytes) noexcept { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::size_t used_bytes() const noexcept { return used_.load(std::memory_order_relaxed); }

  /// Unsent bytes that one connection may have, of `cap` when there is room; never less than
  /// output_bytes_least.
  std::size_t allowance(std::size_t cap) const noexcept {
    return MemoryBudget::share(MemoryBudget::room_in(limit_, used_bytes()), cap,
                               output_bytes_least);
  }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> used_{0};
};

}  // namespace skerry::net
