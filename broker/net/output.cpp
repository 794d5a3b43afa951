#include "net/output.hpp"

#include <utility>

#include "base/assert.hpp"

namespace skerry::net {

void Output::close_full_piece() {
  const std::size_t size = tail_.size();
  const std::size_t grown = seen_ == 0 || seen_ > size ? 0 : size - seen_;
  seen_ = size;
  if (size + grown <= piece_bytes) {
    return;
  }
  const bool lags = full_ != nullptr;
  if (!lags) {
    full_ = std::make_unique<Full>();
  }
  full_->bytes += size;
  full_->memory += memory_of(tail_);
  full_->pieces.push_back(std::exchange(tail_, std::string()));
  seen_ = 0;
  if (lags) {
    tail_.reserve(piece_bytes);  // it will be needed, and need not grow by copies
  }
}

void Output::sent_of_closed() {
  const std::string& oldest = full_->pieces.front();
  SKERRY_ASSERT(sent_ <= oldest.size());
  if (sent_ < oldest.size()) {
    return;
  }
  full_->bytes -= oldest.size();
  full_->memory -= memory_of(oldest);
  full_->pieces.pop_front();
  sent_ = 0;
  if (full_->pieces.empty()) {
    full_.reset();
    trim_tail();
  }
}

void Output::trim_tail() {
  SKERRY_ASSERT(sent_ <= tail_.size());
  if (sent_ == tail_.size()) {
    if (tail_.capacity() > kept_bytes_max) {
      std::string().swap(tail_);
    }
    tail_.clear();
    sent_ = seen_ = 0;
  } else if (sent_ > 0 && sent_ >= tail_.size() / 2) {
    tail_.erase(0, sent_);
    sent_ = seen_ = 0;
  }
}

void Output::clear() noexcept {
  full_.reset();
  std::string().swap(tail_);
  sent_ = seen_ = 0;
}

}  // namespace skerry::net
