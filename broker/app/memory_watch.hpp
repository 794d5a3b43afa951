// MemoryWatch: measures the resident memory of the process and tells the MemoryBudget, more often
// the fuller it is. Under pressure it has the allocator give freed pages back, so that what counts
// is what is in use. Also: what the limit is when nobody has set one.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>

#include "app/memory_doors.hpp"
#include "base/memory_budget.hpp"

namespace skerry::app {

/// Of the memory that this process may have (physical memory, or less by its control group), the
/// share that is the limit by default: the page cache, which the store lives by, needs the rest.
inline constexpr std::size_t memory_share_percent = 75;

/// The limit: `configured`, or the share of what there is when that is 0.
std::size_t memory_limit(std::size_t configured);

/// One line of a control group's `memory.max`; 0: no limit.
std::uint64_t bytes_of_memory_max(std::string_view text) noexcept;

/// Resident memory of this process.
std::size_t resident_bytes();

class MemoryWatch {
 public:
  /// Called on the watch's own thread.
  struct Hooks {
    std::function<void(MemoryBudget::Level)> level;  ///< it has changed
    std::function<void(bool shut)> doors;            ///< MemoryDoors has changed its mind
  };
  MemoryWatch(MemoryBudget& budget, Hooks hooks);
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  /// Times at which freed memory was given back.
  std::uint64_t trims() const noexcept { return trims_.load(std::memory_order_relaxed); }

 private:
  void run();
  void measure();

  MemoryBudget& budget_;
  Hooks hooks_;
  MemoryBudget::Level level_ = MemoryBudget::Level::calm;
  MemoryDoors doors_;
  bool doors_shut_ = false;
  std::chrono::steady_clock::time_point trimmed_at_{};
  std::atomic<std::uint64_t> trims_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace skerry::app
