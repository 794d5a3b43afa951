#include "mqtt/frame.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "mqtt/packet.hpp"

namespace skerry::mqtt {
namespace {

struct Header {
  std::size_t header_bytes = 0;  ///< 0: the header is not complete yet
  std::size_t whole_bytes = 0;
};

constexpr std::size_t header_bytes_max = 5;

/// What is wrong with the first byte of a packet whatever the version, or null.
const char* first_byte_fault(std::uint8_t first) noexcept {
  const unsigned flags = first & 0x0Fu;
  switch (first >> 4) {
    case 0:
      return "Packet type 0 is reserved.";
    case static_cast<int>(PacketType::publish):
      if ((flags & 0x06u) == 0x06u) {  // [MQTT-3.3.1-4]
        return "PUBLISH has both QoS bits set.";
      }
      if ((flags & 0x0Eu) == 0x08u) {  // [MQTT-3.3.1-2]
        return "PUBLISH has DUP set at QoS 0.";
      }
      return nullptr;
    case static_cast<int>(PacketType::pubrel):
    case static_cast<int>(PacketType::subscribe):
    case static_cast<int>(PacketType::unsubscribe):
      // [MQTT-3.6.1-1, MQTT-3.8.1-1, MQTT-3.10.1-1]; 3.1 had DUP here, which decode() judges.
      return (flags & 0x07u) == 0x02u ? nullptr : "The flags of this packet must be 0010.";
    default:
      return flags == 0 ? nullptr : "The flags of this packet must be 0000.";  // [MQTT-2.1.3-1]
  }
}

/// Reads as much of the fixed header as there is. `bytes` is not empty.
Result<Header, Violation> read_header(Bytes bytes, std::uint32_t packet_size_max) noexcept {
  if (const char* fault = first_byte_fault(bytes[0])) {
    return Violation{Reason::malformed_packet, fault};
  }
  std::size_t remaining = 0;
  for (std::size_t i = 1; i < header_bytes_max; ++i) {
    if (i == bytes.size()) {
      return Header{};
    }
    remaining |= std::size_t{bytes[i] & 0x7Fu} << (7 * (i - 1));
    if ((bytes[i] & 0x80) != 0) {
      continue;
    }
    if (i > 1 && bytes[i] == 0) {  // [MQTT-1.5.5-1]
      return Violation{Reason::malformed_packet, "Remaining Length has more bytes than it needs."};
    }
    const std::size_t whole = 1 + i + remaining;
    if (whole > packet_size_max) {  // [MQTT-3.2.2-15]
      return Violation{Reason::packet_too_large, "The packet is larger than Maximum Packet Size."};
    }
    return Header{1 + i, whole};
  }
  return Violation{Reason::malformed_packet, "Remaining Length is longer than four bytes."};
}

Frame frame_of(Bytes whole, std::size_t header_bytes) noexcept {
  return {.first_byte = whole[0], .body = whole.subspan(header_bytes), .whole = whole};
}

}  // namespace

void FrameDecoder::feed(Bytes chunk) {
  SKERRY_ASSERT(chunk_.empty() || failed_what_ != nullptr);
  if (failed_what_ == nullptr) {
    chunk_ = chunk;
  }
}

Result<std::optional<Frame>, Violation> FrameDecoder::next() {
  if (failed_what_ != nullptr) {
    return Violation{failed_reason_, failed_what_};
  }
  if (!partial_.empty() && !partial_shown_) {
    return complete_partial();
  }
  if (chunk_.empty()) {
    forget_shown();
    return std::optional<Frame>{};
  }
  const auto header = read_header(chunk_, packet_size_max_);
  if (!header) {
    return fail(header.error());
  }
  if (header->header_bytes == 0 || header->whole_bytes > chunk_.size()) {
    forget_shown();
    keep(chunk_.size());
    return std::optional<Frame>{};
  }
  const Bytes whole = chunk_.first(header->whole_bytes);
  chunk_ = chunk_.subspan(whole.size());
  return std::optional<Frame>{frame_of(whole, header->header_bytes)};
}

Result<std::optional<Frame>, Violation> FrameDecoder::complete_partial() {
  for (;;) {
    const auto header = read_header(as_bytes(partial_), packet_size_max_);
    if (!header) {
      return fail(header.error());
    }
    const bool header_complete = header->header_bytes != 0;
    if (header_complete && header->whole_bytes == partial_.size()) {
      partial_shown_ = true;
      return std::optional<Frame>{frame_of(as_bytes(partial_), header->header_bytes)};
    }
    if (chunk_.empty()) {
      return std::optional<Frame>{};
    }
    // Byte by byte until the header says how many belong to this packet.
    const std::size_t missing = header_complete ? header->whole_bytes - partial_.size() : 1;
    keep(std::min(missing, chunk_.size()));
  }
}

Violation FrameDecoder::fail(const Violation& violation) {
  failed_reason_ = violation.reason;
  failed_what_ = violation.what;
  return violation;
}

void FrameDecoder::keep(std::size_t bytes) {
  partial_.append(as_text(chunk_.first(bytes)));
  chunk_ = chunk_.subspan(bytes);
}

void FrameDecoder::forget_shown() {
  if (partial_shown_) {
    std::string().swap(partial_);  // a connection that waits owns no buffer
    partial_shown_ = false;
  }
}

std::string FrameDecoder::take_unparsed() {
  forget_shown();
  std::string unparsed = std::move(partial_);
  unparsed.append(as_text(chunk_));
  partial_.clear();
  chunk_ = {};
  return unparsed;
}

}  // namespace skerry::mqtt
