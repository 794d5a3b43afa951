// Integers in as many bits as they need, least significant bit first, without gaps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skerry::twin::series {

class BitWriter {
 public:
  /// Appends to `out`, which must outlive the writer.
  explicit BitWriter(std::string& out) noexcept : out_(out) {}

  /// The low `width` bits of `value`; `width` is 0 … 64, and the other bits must be 0.
  void put(std::uint64_t value, unsigned width) {
    if (width > 32) {
      put_small(value & 0xffff'ffff, 32);
      put_small(value >> 32, width - 32);
    } else {
      put_small(value, width);
    }
  }

  /// Fills the last byte with zeros.
  void finish() {
    while (used_ > 0) {
      out_.push_back(static_cast<char>(bits_));
      bits_ >>= 8;
      used_ -= used_ < 8 ? used_ : 8;
    }
  }

 private:
  void put_small(std::uint64_t value, unsigned width) {
    bits_ |= value << used_;
    used_ += width;
    while (used_ >= 8) {
      out_.push_back(static_cast<char>(bits_));
      bits_ >>= 8;
      used_ -= 8;
    }
  }

  std::string& out_;
  std::uint64_t bits_ = 0;
  unsigned used_ = 0;
};

class BitReader {
 public:
  explicit BitReader(std::string_view bytes) noexcept
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// 0 … 64 bits. Behind the end everything is 0, and ok() is false.
  std::uint64_t get(unsigned width) noexcept {
    if (width > 32) {
      const std::uint64_t low = get_small(32);
      return low | (get_small(width - 32) << 32);
    }
    return get_small(width);
  }

  bool ok() const noexcept { return ok_; }

 private:
  std::uint64_t get_small(unsigned width) noexcept {
    while (used_ < width) {
      if (at_ == end_) {
        ok_ = false;
        return 0;
      }
      bits_ |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(*at_++)) << used_;
      used_ += 8;
    }
    const std::uint64_t value = bits_ & ((std::uint64_t{1} << width) - 1);
    bits_ >>= width;
    used_ -= width;
    return value;
  }

  const char* at_;
  const char* end_;
  std::uint64_t bits_ = 0;
  unsigned used_ = 0;
  bool ok_ = true;
};

/// Bytes that `count` values of `width` bits take.
constexpr std::size_t packed_bytes(std::size_t count, unsigned width) noexcept {
  return (count * width + 7) / 8;
}

}  // namespace skerry::twin::series
