// is_valid_utf8: eight ASCII bytes at a time, RFC 3629 byte by byte where there is more than ASCII.
#include <cstdint>

#include "mqtt/byte_words.hpp"
#include "mqtt/topic.hpp"

namespace skerry::mqtt {
namespace {

bool is_continuation(unsigned char byte) noexcept {
  return (byte & 0xC0) == 0x80;
}

/// Bytes of the well-formed character at `at` (table 3-7 of the Unicode standard), 0 if there is
/// none: overlong forms, surrogates [MQTT-1.5.4-1], more than U+10FFFF, U+0000 [MQTT-1.5.4-2].
std::size_t character_size(const unsigned char* at, std::size_t left) noexcept {
  const unsigned char first = at[0];
  if (first < 0x80) {
    return first != 0 ? 1 : 0;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return left >= 2 && is_continuation(at[1]) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned char lowest = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned char highest = first == 0xED ? 0x9F : 0xBF;
    return left >= 3 && at[1] >= lowest && at[1] <= highest && is_continuation(at[2]) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned char lowest = first == 0xF0 ? 0x90 : 0x80;
    const unsigned char highest = first == 0xF4 ? 0x8F : 0xBF;
    const bool whole = left >= 4 && at[1] >= lowest && at[1] <= highest;
    return whole && is_continuation(at[2]) && is_continuation(at[3]) ? 4 : 0;
  }
  return 0;
}

/// Nothing but ASCII without U+0000: nearly all strings there are.
bool is_plain_text(std::string_view text) noexcept {
  if (text.size() >= word_bytes) {
    return no_word(text, [](std::uint64_t word) { return !is_plain(word); });
  }
  bool plain = true;
  for (const char c : text) {
    plain &= static_cast<unsigned char>(c - 1) < 0x7F;
  }
  return plain;
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
  if (is_plain_text(text)) {
    return true;
  }
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t left = text.size();
  while (left > 0) {
    if (left >= word_bytes && is_plain(load_word(reinterpret_cast<const char*>(at)))) {
      at += word_bytes;
      left -= word_bytes;
      continue;
    }
    const std::size_t size = character_size(at, left);
    if (size == 0) {
      return false;
    }
    at += size;
    left -= size;
  }
  return true;
}

}  // namespace skerry::mqtt
