// Eight bytes at a time: the tests that text needs, without a branch per byte. Internal to this
// folder.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace skerry::mqtt {

inline constexpr std::size_t word_bytes = 8;
inline constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080;
inline constexpr std::uint64_t low_bits = 0x0101'0101'0101'0101;

inline std::uint64_t load_word(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

/// Some byte of `word` is `byte`.
inline bool holds(std::uint64_t word, char byte) noexcept {
  const std::uint64_t zero_there = word ^ (low_bits * static_cast<std::uint8_t>(byte));
  return ((zero_there - low_bits) & ~zero_there & high_bits) != 0;
}

/// All eight bytes are 0x01 … 0x7F.
inline bool is_plain(std::uint64_t word) noexcept {
  return ((word | (word - low_bits)) & high_bits) == 0;
}

/// Whether bad(word) holds for no word of `text`, whose last word may overlap the one before.
/// `text` has at least eight bytes.
template <typename Bad>
bool no_word(std::string_view text, Bad bad) noexcept {
  std::size_t at = 0;
  for (; at + word_bytes <= text.size(); at += word_bytes) {
    if (bad(load_word(text.data() + at))) {
      return false;
    }
  }
  return !bad(load_word(text.data() + text.size() - word_bytes));
}

}  // namespace skerry::mqtt
