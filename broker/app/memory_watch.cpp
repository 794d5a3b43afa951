#include "app/memory_watch.hpp"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <fstream>
#include <string>

#include "app/core_count.hpp"

namespace skerry::app {

namespace {

using std::chrono::milliseconds;

/// Between two looks: with much room, and near the limit, where a gigabyte a second may arrive.
constexpr milliseconds look_rarely{100};
constexpr milliseconds look_often{10};
/// Giving pages back walks the whole heap and holds it meanwhile.
constexpr milliseconds trim_every{1'000};
/// The same before publishers are refused: what nobody uses must not be why.
constexpr milliseconds trim_when_full_every{100};
/// From this share of the limit on it is looked at often, and freed memory is given back.
constexpr std::size_t near_percent = 70;
constexpr std::size_t trim_percent = 78;

std::uint64_t memory_of_group() {
  std::uint64_t least = 0;
  const auto take = [&least](const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (std::getline(file, line)) {
      const std::uint64_t bytes = bytes_of_memory_max(line);
      least = bytes == 0 ? least : (least == 0 ? bytes : std::min(least, bytes));
    }
  };
  take("/sys/fs/cgroup" + cgroup_path("") + "/memory.max");
  take("/sys/fs/cgroup/memory.max");
  take("/sys/fs/cgroup/memory" + cgroup_path("memory") + "/memory.limit_in_bytes");
  take("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  return least;
}

}  // namespace

std::uint64_t bytes_of_memory_max(std::string_view text) noexcept {
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return error == std::errc{} && end != text.data() ? bytes : 0;
}

std::size_t memory_limit(std::size_t configured) {
  if (configured != 0) {
    return configured;
  }
  const auto pages = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 0L));
  std::uint64_t bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (const std::uint64_t group = memory_of_group(); group != 0) {
    bytes = std::min(bytes, group);
  }
  return static_cast<std::size_t>(bytes / 100 * memory_share_percent);
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

MemoryWatch::MemoryWatch(MemoryBudget& budget, Hooks hooks)
    : budget_(budget), hooks_(std::move(hooks)) {
  budget_.set_used(resident_bytes());
  thread_ = std::thread([this] { run(); });
}

MemoryWatch::~MemoryWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void MemoryWatch::run() {
  ::pthread_setname_np(::pthread_self(), "skerry-memory");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const bool near = budget_.used_bytes() >= budget_.limit_bytes() / 100 * near_percent;
    wake_.wait_for(lock, near ? look_often : look_rarely);
    if (!stopping_) {
      lock.unlock();
      measure();
      lock.lock();
    }
  }
}

void MemoryWatch::measure() {
  std::size_t used = resident_bytes();
  const auto now = std::chrono::steady_clock::now();
  const bool full = MemoryBudget::room_in(budget_.limit_bytes(), used) == 0;
  const milliseconds every = full ? trim_when_full_every : trim_every;
  if (used >= budget_.limit_bytes() / 100 * trim_percent && now >= trimmed_at_ + every) {
    trimmed_at_ = now;
    trims_.fetch_add(1, std::memory_order_relaxed);
    ::malloc_trim(0);
    used = resident_bytes();
  }
  budget_.set_used(used);
  if (const MemoryBudget::Level level = budget_.level(); level != level_) {
    level_ = level;
    hooks_.level(level);
  }
  if (const bool shut = doors_.shut(level_, now); shut != doors_shut_) {
    doors_shut_ = shut;
    hooks_.doors(shut);
  }
}

}  // namespace skerry::app
