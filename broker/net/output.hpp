// Output: what one connection has to send, in pieces of a few dozen kilobytes. One growing string
// would be copied each time it doubles, and when a thousand clients lag behind the same publisher
// all of them double at the same message: a stall that everybody else on the core waits for.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/ring.hpp"

namespace skerry::net {

/// Belongs to one connection.
class Output {
 public:
  /// A piece is closed when another packet like the last one would make it larger than this.
  static constexpr std::size_t piece_bytes = 32 * 1024;

  /// Where packets are appended, each followed by appended().
  std::string& tail() noexcept { return tail_; }
  void appended() {
    if (tail_.size() > piece_bytes / 2) {
      close_full_piece();
    }
  }

  bool empty() const noexcept { return sent_ == tail_.size() && full_ == nullptr; }
  /// Bytes that are not sent yet.
  std::size_t size() const noexcept { return closed_bytes() + tail_.size() - sent_; }
  /// Bytes of the pieces before tail(), the oldest whole.
  std::size_t closed_bytes() const noexcept { return full_ == nullptr ? 0 : full_->bytes; }
  /// What this holds in memory beyond itself.
  std::size_t memory_bytes() const noexcept {
    return (full_ == nullptr ? 0 : full_->memory) + memory_of(tail_);
  }

  /// The unsent part of the oldest piece; empty when there is nothing. Lives until the next call
  /// that is not const.
  Bytes front() const noexcept {
    return as_bytes(full_ == nullptr ? tail_ : full_->pieces.front()).subspan(sent_);
  }
  /// The first `count` bytes of front() are sent.
  void sent(std::size_t count) {
    sent_ += count;
    if (full_ != nullptr) {
      sent_of_closed();
    } else if (sent_ == tail_.size() && tail_.capacity() <= kept_bytes_max) {
      tail_.clear();
      sent_ = 0;
    } else {
      trim_tail();
    }
  }

  /// Drops what is not sent.
  void clear() noexcept;

 private:
  // An empty output keeps this much memory: most clients' next packet fits.
  static constexpr std::size_t kept_bytes_max = 1'024;

  struct Full {
    Ring<std::string> pieces;
    std::size_t bytes = 0;   // of the pieces
    std::size_t memory = 0;  // the same as allocated
  };

  // The memory of a string is its capacity; a short one lies inside the connection.
  static std::size_t memory_of(const std::string& text) noexcept {
    const std::size_t capacity = text.capacity();
    return capacity > std::string().capacity() ? capacity : 0;
  }
  void close_full_piece();
  void sent_of_closed();
  void trim_tail();

  std::unique_ptr<Full> full_;  // closed pieces, older than tail_; null or not empty
  std::string tail_;
  std::size_t sent_ = 0;  // bytes at the front of the oldest piece that are gone
  std::size_t seen_ = 0;  // of tail_, by the last close_full_piece(); 0: none yet
};

}  // namespace skerry::net
