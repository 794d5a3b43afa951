// Two sinks with one interface: SizeSink counts what WriteSink writes, so that each packet's layout
// is written down once, its length is known before its first byte and the output grows once.
// Internal to this folder.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/limits.hpp"
#include "mqtt/packet.hpp"

namespace skerry::mqtt {

/// Bytes of `value` as a variable byte integer, 1 … 4 [MQTT-1.5.5-1].
inline std::size_t variable_byte_integer_size(std::size_t value) noexcept {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20'0000 ? 3 : 4;
}

class SizeSink {
 public:
  std::size_t size() const noexcept { return size_; }

  void byte(std::uint8_t) noexcept { size_ += 1; }
  void two_bytes(std::uint16_t) noexcept { size_ += 2; }
  void four_bytes(std::uint32_t) noexcept { size_ += 4; }
  void variable_byte_integer(std::uint32_t value) noexcept {
    size_ += variable_byte_integer_size(value);
  }
  void raw(Bytes bytes) noexcept { size_ += bytes.size(); }
  void binary(Bytes bytes) noexcept { size_ += 2 + bytes.size(); }
  void text(std::string_view text) noexcept { size_ += 2 + text.size(); }

 private:
  std::size_t size_ = 0;
};

/// Writes to memory that a SizeSink has measured.
class WriteSink {
 public:
  explicit WriteSink(char* at) noexcept : at_(at) {}

  const char* position() const noexcept { return at_; }

  void byte(std::uint8_t value) noexcept { *at_++ = static_cast<char>(value); }
  void two_bytes(std::uint16_t value) noexcept {
    byte(static_cast<std::uint8_t>(value >> 8));
    byte(static_cast<std::uint8_t>(value));
  }
  void four_bytes(std::uint32_t value) noexcept {
    two_bytes(static_cast<std::uint16_t>(value >> 16));
    two_bytes(static_cast<std::uint16_t>(value));
  }
  void variable_byte_integer(std::uint32_t value) noexcept {
    for (; value >= 0x80; value >>= 7) {
      byte(static_cast<std::uint8_t>(value | 0x80));
    }
    byte(static_cast<std::uint8_t>(value));
  }
  void raw(Bytes bytes) noexcept {
    if (!bytes.empty()) {
      std::memcpy(at_, bytes.data(), bytes.size());
      at_ += bytes.size();
    }
  }
  /// Strings and binary data of our own making are at most 65,535 bytes, received ones always.
  void binary(Bytes bytes) noexcept {
    SKERRY_ASSERT(bytes.size() <= 0xFFFF);
    two_bytes(static_cast<std::uint16_t>(bytes.size()));
    raw(bytes);
  }
  void text(std::string_view text) noexcept { binary(as_bytes(text)); }

 private:
  char* at_;
};

/// Appends a packet whose body is what `put_body(sink)` puts. It is called twice, with either sink.
/// A body beyond the largest Remaining Length cannot be sent: nothing is appended.
template <typename PutBody>
void append_packet(std::string& out, std::uint8_t first_byte, PutBody put_body) {
  SizeSink measure;
  put_body(measure);
  if (measure.size() > remaining_length_max) {
    return;
  }
  const std::size_t start = out.size();
  out.resize(start + 1 + variable_byte_integer_size(measure.size()) + measure.size());
  WriteSink sink(out.data() + start);
  sink.byte(first_byte);
  sink.variable_byte_integer(static_cast<std::uint32_t>(measure.size()));
  put_body(sink);
  SKERRY_ASSERT(sink.position() == out.data() + out.size());
}

/// Puts a property section: its length, then what `put(sink)` puts [MQTT-2.2.2-1].
template <typename Sink, typename Put>
void put_section(Sink& sink, Put put) {
  SizeSink measure;
  put(measure);
  sink.variable_byte_integer(static_cast<std::uint32_t>(measure.size()));
  put(sink);
}

/// First byte of a packet: type and flags.
inline std::uint8_t first_byte_of(PacketType type, unsigned flags = 0) noexcept {
  return static_cast<std::uint8_t>((static_cast<unsigned>(type) << 4) | flags);
}

}  // namespace skerry::mqtt
