// DueQueue: devices that are to be worked into chunks, in the order in which that was found out.
// Those who find out see to it that none is in it twice. Any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

namespace skerry::twin::series {

class DueQueue {
 public:
  void push(std::string device) {
    {
      const std::lock_guard lock(mutex_);
      devices_.push_back(std::move(device));
    }
    changed_.notify_one();
  }

  std::optional<std::string> pop() {
    const std::lock_guard lock(mutex_);
    if (devices_.empty()) {
      return std::nullopt;
    }
    std::string device = std::move(devices_.front());
    devices_.pop_front();
    return device;
  }

  /// Returns when there is a device, after `timeout`, or at wake().
  void wait(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [this] { return woken_ || !devices_.empty(); });
    woken_ = false;
  }

  void wake() {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> devices_;
  bool woken_ = false;
};

}  // namespace skerry::twin::series
