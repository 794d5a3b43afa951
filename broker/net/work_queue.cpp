// The descriptor is written to by whoever finds the queue empty and read before the queue is taken:
// a piece that comes in between is taken with the rest or writes anew.
#include "net/work_queue.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/assert.hpp"

namespace skerry::net {

WorkQueue::WorkQueue() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  SKERRY_ASSERT(descriptor_ >= 0);
}

WorkQueue::~WorkQueue() {
  ::close(descriptor_);
}

void WorkQueue::add(std::unique_ptr<Work> work) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return;
    }
    waiting_.push_back(std::move(work));
    if (waiting_.size() > 1) {
      return;  // whoever was first has told
    }
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
}

void WorkQueue::run() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(descriptor_, &count, sizeof count);
  {
    const std::lock_guard lock(mutex_);
    running_.swap(waiting_);
  }
  for (std::unique_ptr<Work>& work : running_) {
    work->run();
    work.reset();
  }
  running_.clear();
}

void WorkQueue::close() {
  std::vector<std::unique_ptr<Work>> dropped;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(waiting_);
}

}  // namespace skerry::net
