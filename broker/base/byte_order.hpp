// Big-endian integers: MQTT's wire order, and the order in which storage keys sort.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skerry {

template <typename Integer>
void append_big_endian(std::string& out, Integer value) {
  for (int shift = static_cast<int>(sizeof(Integer)) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((static_cast<std::uint64_t>(value) >> shift) & 0xff));
  }
}

/// Reads sizeof(Integer) bytes from the front of `in`, which must hold at least as many.
template <typename Integer>
Integer read_big_endian(std::string_view in) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value = (value << 8) | static_cast<std::uint8_t>(in[i]);
  }
  return static_cast<Integer>(value);
}

}  // namespace skerry
