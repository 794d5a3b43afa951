// WireReader: the data types of MQTT 5.0 section 1.5 read from a view. After the first failure
// every further read answers zero or empty, so decoders read straight on and look at ok() once.
// Internal to this folder.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "mqtt/reason.hpp"
#include "mqtt/topic.hpp"

namespace skerry::mqtt {

class WireReader {
 public:
  explicit WireReader(Bytes bytes) noexcept
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const noexcept { return what_ == nullptr; }

  /// Only when !ok().
  Violation violation() const noexcept { return {reason_, what_}; }

  /// Keeps the first failure; `what` has static storage.
  void fail(Reason reason, const char* what) noexcept {
    if (ok()) {
      reason_ = reason;
      what_ = what;
    }
    at_ = end_;
  }

  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

  std::uint8_t byte() noexcept { return has(1) ? *at_++ : std::uint8_t{0}; }

  std::uint16_t two_bytes() noexcept {
    if (!has(2)) {
      return 0;
    }
    at_ += 2;
    return static_cast<std::uint16_t>((at_[-2] << 8) | at_[-1]);
  }

  std::uint32_t four_bytes() noexcept {
    if (!has(4)) {
      return 0;
    }
    at_ += 4;
    return (std::uint32_t{at_[-4]} << 24) | (std::uint32_t{at_[-3]} << 16) |
           (std::uint32_t{at_[-2]} << 8) | std::uint32_t{at_[-1]};
  }

  /// Section 1.5.5; a value in more bytes than it needs is malformed [MQTT-1.5.5-1].
  std::uint32_t variable_byte_integer() noexcept {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      const std::uint8_t next = byte();
      value |= std::uint32_t{next & 0x7Fu} << shift;
      if ((next & 0x80) == 0) {
        if (next == 0 && shift > 0) {
          fail(Reason::malformed_packet, "A variable byte integer has more bytes than it needs.");
          return 0;
        }
        return value;
      }
    }
    fail(Reason::malformed_packet, "A variable byte integer is longer than four bytes.");
    return 0;
  }

  Bytes take(std::size_t size) noexcept {
    if (!has(size)) {
      return {};
    }
    at_ += size;
    return {at_ - size, size};
  }

  /// Binary Data, section 1.5.6.
  Bytes binary() noexcept { return take(two_bytes()); }

  /// UTF-8 Encoded String, section 1.5.4 [MQTT-1.5.4-1, MQTT-1.5.4-2].
  std::string_view text() noexcept {
    const std::string_view value = as_text(binary());
    if (!is_valid_utf8(value)) {
      fail_text();
      return {};
    }
    return value;
  }

  void fail_text() noexcept {
    fail(Reason::malformed_packet, "A string is not well-formed UTF-8 or holds U+0000.");
  }

  /// Everything that is left.
  Bytes rest() noexcept { return take(left()); }

 private:
  bool has(std::size_t size) noexcept {
    if (left() >= size) [[likely]] {
      return true;
    }
    fail(Reason::malformed_packet, "The packet ends in the middle of a field.");
    return false;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  const char* what_ = nullptr;
  Reason reason_ = Reason::malformed_packet;
};

}  // namespace skerry::mqtt
