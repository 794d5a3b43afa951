// A thread of its own: reclaiming may take seconds, and the committer must go on meanwhile.
#include "storage/space_watch.hpp"

#include <pthread.h>
#include <sys/statvfs.h>

#include <algorithm>

namespace skerry::storage {

namespace {

constexpr std::uint64_t automatic_bytes = 256ull * 1024 * 1024;

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes / (1024 * 1024)) + " MiB";
}

}  // namespace

std::uint64_t mark_of(const FreeSpaceMin& minimum, std::uint64_t total_bytes) noexcept {
  switch (minimum.kind) {
    case FreeSpaceMin::Kind::automatic:
      return std::min(automatic_bytes, total_bytes / 10);
    case FreeSpaceMin::Kind::bytes:
      return minimum.amount;
    case FreeSpaceMin::Kind::percent:
      return total_bytes / 100 * minimum.amount;
  }
  return 0;
}

std::optional<DiskSpace> disk_space(const std::string& directory) {
  struct statvfs found {};
  if (::statvfs(directory.c_str(), &found) != 0) {
    return std::nullopt;
  }
  const std::uint64_t unit = found.f_frsize;
  return DiskSpace{found.f_bavail * unit, found.f_blocks * unit};
}

SpaceWatch::SpaceWatch(KvStore& store, SpaceWatchOptions options)
    : store_(store), options_(std::move(options)) {
  look(std::chrono::steady_clock::now());
}

SpaceWatch::~SpaceWatch() {
  stop();
}

void SpaceWatch::start() {
  thread_ = std::thread([this] { run(); });
}

void SpaceWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void SpaceWatch::run() {
  ::pthread_setname_np(::pthread_self(), "skerry-space");
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, options_.interval, [this] { return stopping_; })) {
        return;
      }
    }
    look(std::chrono::steady_clock::now());
  }
}

void SpaceWatch::look(std::chrono::steady_clock::time_point now) {
  const std::optional<DiskSpace> space = options_.measure();
  if (!space) {
    return;  // nothing is known: as it was
  }
  const std::uint64_t mark = mark_of(options_.minimum, space->total_bytes);
  free_bytes_ = space->free_bytes;
  total_bytes_ = space->total_bytes;
  mark_bytes_ = mark;
  const bool was_low = low_;
  const bool is_low = space->free_bytes < (was_low ? mark + mark / 4 : mark);
  if (is_low && !was_low) {
    ++low_count_;
    low_ = true;
    reclaim_at_ = now;
    options_.log("space_low", "only " + mebibytes(space->free_bytes) + " of " +
                                  mebibytes(space->total_bytes) + " are free and " +
                                  mebibytes(mark) +
                                  " must stay so: durable work is refused (Quota exceeded, 507)");
  } else if (!is_low && was_low) {
    low_ = false;
    options_.log("space_recovered", mebibytes(space->free_bytes) + " of " +
                                        mebibytes(space->total_bytes) +
                                        " are free: durable work is taken again");
  }
  if (is_low) {
    reclaim_if_due(now);
  }
}

void SpaceWatch::reclaim_if_due(std::chrono::steady_clock::time_point now) {
  if (now < reclaim_at_) {
    return;
  }
  reclaim_at_ = now + options_.reclaim_interval;
  const Status status = store_.reclaim(free_bytes_);
  if (!status.ok() && status.code != StatusCode::closed) {
    options_.log("space_reclaim_failed", status.detail);
  }
}

}  // namespace skerry::storage
