// The pool is one queue under one mutex: its jobs read from a disk, so the lock is never what
// costs.
#include "storage/reader_pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/assert.hpp"

namespace skerry::storage {

namespace {
constexpr std::size_t threads_max = 16;
}  // namespace

struct ReaderPool::Impl {
  explicit Impl(std::size_t queue_size_max) : queue_max(queue_size_max) {}

  void work() {
    pthread_setname_np(pthread_self(), "skerry-reader");
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) {
        return;
      }
      std::function<void()> job = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      job();
      job = nullptr;  // What it captured goes before the lock is taken again.
      lock.lock();
    }
  }

  const std::size_t queue_max;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> queue;
  bool stopping = false;
  std::vector<std::thread> threads;
};

ReaderPool::ReaderPool(std::size_t threads, std::size_t queue_max)
    : impl_(std::make_unique<Impl>(queue_max)) {
  const std::size_t count = std::clamp<std::size_t>(threads, 1, threads_max);
  impl_->threads.reserve(count);
  for (std::size_t index = 0; index < count; ++index) {
    impl_->threads.emplace_back([this] { impl_->work(); });
  }
}

ReaderPool::~ReaderPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  for (std::thread& thread : impl_->threads) {
    thread.join();
  }
}

bool ReaderPool::run(std::function<void()> job) {
  SKERRY_ASSERT(job != nullptr);
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->queue.size() >= impl_->queue_max || impl_->stopping) {
      return false;
    }
    impl_->queue.push_back(std::move(job));
  }
  impl_->changed.notify_one();
  return true;
}

}  // namespace skerry::storage
