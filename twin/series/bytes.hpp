// Reading and writing the small integers that records of the series store are made of: base-128
// varints, and zigzag for those with a sign. A reader never looks behind its end: what is missing
// reads as 0 and is remembered, so that a decoder asks once, when it is through.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace skerry::twin::series {

constexpr std::uint64_t zigzag(std::int64_t value) noexcept {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

constexpr std::int64_t unzigzag(std::uint64_t value) noexcept {
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

inline void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void append_signed(std::string& out, std::int64_t value) {
  append_varint(out, zigzag(value));
}

/// Eight bytes, least significant first.
inline void append_word(std::string& out, std::uint64_t value) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(value >> (8 * i));
  }
  out.append(bytes, sizeof bytes);
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) noexcept
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// Nothing was missing or ill-formed so far.
  bool ok() const noexcept { return ok_; }
  void fail() noexcept {
    ok_ = false;
    at_ = end_;
  }
  bool at_end() const noexcept { return at_ == end_; }
  std::string_view rest() const noexcept { return {at_, size()}; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - at_); }

  std::uint8_t byte() noexcept {
    if (at_ == end_) {
      fail();
      return 0;
    }
    return static_cast<std::uint8_t>(*at_++);
  }

  std::uint64_t varint() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t next = byte();
      value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
      if (next < 0x80) {
        return value;
      }
    }
    fail();
    return 0;
  }

  std::int64_t signed_varint() noexcept { return unzigzag(varint()); }

  std::uint64_t word() noexcept {
    const std::string_view bytes = take(8);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
    }
    return value;
  }

  /// The next `size` bytes, or none of them.
  std::string_view take(std::uint64_t size) noexcept {
    if (size > this->size()) {
      fail();
      return {};
    }
    const std::string_view bytes(at_, static_cast<std::size_t>(size));
    at_ += size;
    return bytes;
  }

 private:
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace skerry::twin::series
