// SpaceWatch: looks at the free space of the data directory's file system and says "low" before the
// disk is full, while there is room left for what makes room: acknowledgements of consumers,
// deletions, and the engine's own rewriting. What is refused meanwhile is decided by those who ask.
//
//        free < mark
//   ok ──────────────▶ low: every few seconds the store is asked to give back what was erased
//    ◀──────────────
//     free ≥ mark × 5/4
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "storage/kv_store.hpp"

namespace skerry::storage {

/// How much must stay free; see mark_of().
struct FreeSpaceMin {
  enum class Kind : std::uint8_t {
    automatic,  ///< 256 MiB, but no more than a tenth of the file system
    bytes,      ///< `amount` bytes; 0: nothing is watched
    percent,    ///< `amount` of 100 parts of the file system
  };
  Kind kind = Kind::automatic;
  std::uint64_t amount = 0;

  friend bool operator==(const FreeSpaceMin&, const FreeSpaceMin&) = default;
};

/// The mark in bytes on a file system of that size.
std::uint64_t mark_of(const FreeSpaceMin& minimum, std::uint64_t total_bytes) noexcept;

/// What statvfs says of a directory, for users other than root. nullopt: it says nothing.
struct DiskSpace {
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
};
std::optional<DiskSpace> disk_space(const std::string& directory);

struct SpaceWatchOptions {
  FreeSpaceMin minimum;
  std::function<std::optional<DiskSpace>()> measure;  ///< asked on the watch's thread
  std::chrono::milliseconds interval{200};            ///< between two looks
  std::chrono::milliseconds reclaim_interval{5'000};  ///< between two reclaims while low
  /// Hears "space_low", "space_recovered" and "space_reclaim_failed". The watch's thread.
  std::function<void(std::string_view event, std::string_view detail)> log =
      [](std::string_view, std::string_view) {};
};

class SpaceWatch {
 public:
  /// Looks once. `store` must outlive the watch.
  SpaceWatch(KvStore& store, SpaceWatchOptions options);
  ~SpaceWatch();
  SpaceWatch(const SpaceWatch&) = delete;
  SpaceWatch& operator=(const SpaceWatch&) = delete;

  /// Starts the thread "skerry-space"; it ends with stop() or the destructor.
  void start();
  void stop();

  /// One look, and a reclaim when it is time for one: what the thread does. Not beside start().
  void look(std::chrono::steady_clock::time_point now);

  /// Durable work that takes space should be refused. Lives as long as the watch. Any thread.
  const std::atomic<bool>& low() const noexcept { return low_; }

  /// For metrics and health. Any thread.
  std::uint64_t free_bytes() const noexcept { return free_bytes_; }
  std::uint64_t total_bytes() const noexcept { return total_bytes_; }
  std::uint64_t mark_bytes() const noexcept { return mark_bytes_; }
  std::uint64_t low_count() const noexcept { return low_count_; }  ///< times it became low

 private:
  void run();
  void reclaim_if_due(std::chrono::steady_clock::time_point now);

  KvStore& store_;
  const SpaceWatchOptions options_;
  std::atomic<bool> low_{false};
  std::atomic<std::uint64_t> free_bytes_{0};
  std::atomic<std::uint64_t> total_bytes_{0};
  std::atomic<std::uint64_t> mark_bytes_{0};
  std::atomic<std::uint64_t> low_count_{0};
  std::chrono::steady_clock::time_point reclaim_at_{};  ///< the watch's own
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  ///< guarded by mutex_
  std::thread thread_;
};

}  // namespace skerry::storage
