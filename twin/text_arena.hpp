// TextArena: texts that are made while a payload is parsed (joined keys, decoded data), kept until
// the next payload. For one thread at a time.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "base/assert.hpp"

namespace skerry::twin {

class TextArena {
 public:
  /// The longest text that keep() takes.
  static constexpr std::size_t text_bytes_max = 16 * 1024;

  /// Forgets all texts and keeps the memory.
  void reset() noexcept {
    block_ = 0;
    used_ = 0;
  }

  /// A copy that lives until reset(): blocks never move. How many bytes come together is the
  /// caller's to cap.
  std::string_view keep(std::string_view text) {
    SKERRY_ASSERT(text.size() <= text_bytes_max);
    if (blocks_.empty() || used_ + text.size() > text_bytes_max) {
      block_ += blocks_.empty() ? 0 : 1;
      used_ = 0;
      if (block_ == blocks_.size()) {
        blocks_.push_back(std::make_unique<char[]>(text_bytes_max));
      }
    }
    char* const place = blocks_[block_].get() + used_;
    std::memcpy(place, text.data(), text.size());
    used_ += text.size();
    return {place, text.size()};
  }

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t block_ = 0;
  std::size_t used_ = 0;
};

}  // namespace skerry::twin
