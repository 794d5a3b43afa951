// A notation for packets in tests, so that vectors can be read beside the specification:
//   82 000A { 0B 01 } "a/b" 00
// First the first byte of the packet, then its body; Remaining Length is worked out. Hexadecimal
// digits are bytes, 'text' is text as it stands, "text" is text behind its two-byte length, [ … ]
// is anything behind a two-byte length, { … } is a property section behind its variable length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "mqtt/codec.hpp"

namespace skerry::mqtt::testing {

/// Where a length stands in the packet's bytes, and in how many of them.
struct LengthPrefix {
  std::size_t offset = 0;
  std::size_t size = 0;
};

struct Wire {
  std::string bytes;
  std::vector<LengthPrefix> lengths;  ///< Remaining Length included

  void append(const Wire& other) {
    for (const LengthPrefix& length : other.lengths) {
      lengths.push_back({bytes.size() + length.offset, length.size});
    }
    bytes += other.bytes;
  }
};

inline Wire behind_two_bytes(const Wire& content) {
  Wire wire;
  wire.bytes.push_back(static_cast<char>(content.bytes.size() >> 8));
  wire.bytes.push_back(static_cast<char>(content.bytes.size() & 0xFF));
  wire.lengths.push_back({0, 2});
  wire.append(content);
  return wire;
}

inline Wire behind_variable(const Wire& content) {
  Wire wire;
  std::size_t value = content.bytes.size();
  do {
    wire.bytes.push_back(static_cast<char>((value & 0x7F) | (value >= 0x80 ? 0x80 : 0)));
    value >>= 7;
  } while (value > 0);
  wire.lengths.push_back({0, wire.bytes.size()});
  wire.append(content);
  return wire;
}

class Notation {
 public:
  explicit Notation(std::string_view text) : text_(text) {}

  Wire group(char closing = '\0') {
    Wire wire;
    while (at_ < text_.size() && text_[at_] != closing) {
      item(wire);
    }
    at_ += closing != '\0' ? 1 : 0;
    return wire;
  }

 private:
  void item(Wire& wire) {
    const char c = text_[at_++];
    if (c == ' ' || c == '\n') {
      return;
    }
    if (c == '\'') {
      wire.bytes += until('\'');
    } else if (c == '"') {
      Wire content;
      content.bytes = until('"');
      wire.append(behind_two_bytes(content));
    } else if (c == '[') {
      wire.append(behind_two_bytes(group(']')));
    } else if (c == '{') {
      wire.append(behind_variable(group('}')));
    } else {
      SKERRY_ASSERT(at_ < text_.size());
      wire.bytes.push_back(static_cast<char>(digit(c) << 4 | digit(text_[at_++])));
    }
  }

  std::string until(char closing) {
    const std::size_t end = text_.find(closing, at_);
    SKERRY_ASSERT(end != std::string_view::npos);
    const std::string text(text_.substr(at_, end - at_));
    at_ = end + 1;
    return text;
  }

  static int digit(char c) {
    const std::size_t value = std::string_view("0123456789ABCDEF").find(c);
    SKERRY_ASSERT(value != std::string_view::npos);
    return static_cast<int>(value);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// A whole packet in the notation above.
inline Wire wire_of(std::string_view notation) {
  Wire all = Notation(notation).group();
  SKERRY_ASSERT(!all.bytes.empty());
  Wire body;
  body.bytes = all.bytes.substr(1);
  for (const LengthPrefix& length : all.lengths) {
    body.lengths.push_back({length.offset - 1, length.size});
  }
  Wire wire;
  wire.bytes = all.bytes.substr(0, 1);
  wire.append(behind_variable(body));
  return wire;
}

inline std::string bytes_of(std::string_view notation) {
  return wire_of(notation).bytes;
}

/// A packet taken apart without FrameDecoder. Owns its bytes in a block of exactly their size, so
/// that the address sanitizer sees a read beyond them.
class OwnedFrame {
 public:
  explicit OwnedFrame(std::string_view packet) : bytes_(packet.begin(), packet.end()) {
    bytes_.shrink_to_fit();
    std::size_t header = 1;
    while ((bytes_[header] & 0x80) != 0) {
      ++header;
    }
    const Bytes whole(bytes_);
    frame_ = {.first_byte = whole[0], .body = whole.subspan(header + 1), .whole = whole};
  }
  OwnedFrame(std::uint8_t first_byte, std::string_view body) : bytes_(body.begin(), body.end()) {
    bytes_.shrink_to_fit();
    frame_ = {.first_byte = first_byte, .body = Bytes(bytes_), .whole = {}};
  }

  const Frame& operator*() const { return frame_; }
  const Frame* operator->() const { return &frame_; }

 private:
  std::vector<std::uint8_t> bytes_;
  Frame frame_;
};

}  // namespace skerry::mqtt::testing
