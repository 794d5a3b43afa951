// ReaderPool: a few threads on which blocking reads of the store run, so that neither a core nor
// the admin loop ever waits for a disk.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace skerry::storage {

class ReaderPool {
 public:
  /// `threads`: 1 … 16. `queue_max`: jobs that may wait.
  explicit ReaderPool(std::size_t threads, std::size_t queue_max = 4096);
  /// Runs what was accepted, then joins.
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  /// Runs `job` on one of the threads; it posts its own answer. False when the queue is full: the
  /// job was not taken and the caller answers "busy". Any thread, never blocks.
  [[nodiscard]] bool run(std::function<void()> job);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skerry::storage
