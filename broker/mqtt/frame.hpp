// FrameDecoder: bytes in any pieces in, complete MQTT frames out. A frame is the fixed header
// (type and flags, Remaining Length as a variable byte integer of 1–4 bytes) and its body. It knows
// nothing of what is inside; decode() in codec.hpp does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "mqtt/reason.hpp"

namespace skerry::mqtt {

/// One complete packet on the wire, as views. They live until the next call of FrameDecoder::feed()
/// or, while next() is being called, until next() has answered "need more".
struct Frame {
  std::uint8_t first_byte = 0;  ///< packet type and flags
  Bytes body;                   ///< after the Remaining Length
  Bytes whole;                  ///< header included
};

/// Cuts a byte stream into frames and keeps at most one partial frame, never more than
/// `packet_size_max` bytes of it. Use: feed() once per read, then next() until it answers nullopt.
/// Belongs to one connection; no I/O; not thread-safe.
class FrameDecoder {
 public:
  /// `packet_size_max`: bytes of a whole frame, header included.
  explicit FrameDecoder(std::uint32_t packet_size_max) : packet_size_max_(packet_size_max) {}

  void set_packet_size_max(std::uint32_t bytes) noexcept { packet_size_max_ = bytes; }

  /// Hands over what was read. `chunk` must stay valid until next() answers nullopt or an error:
  /// whole frames in it are shown in place and only an incomplete tail is copied.
  void feed(Bytes chunk);

  /// The next complete frame; nullopt: need more bytes (what is left was copied);
  /// malformed_packet: Remaining Length longer than four bytes [MQTT-1.5.5-1] or a packet type or
  /// flags that no version has [MQTT-2.1.3-1]; packet_too_large as soon as the header says so.
  /// After an error the decoder answers the same error for ever.
  Result<std::optional<Frame>, Violation> next();

  /// Bytes of an incomplete frame that are kept here.
  std::size_t buffered_bytes() const noexcept { return partial_shown_ ? 0 : partial_.size(); }

  /// Takes everything that was fed and not yet returned (for a hand-over to another core).
  std::string take_unparsed();

 private:
  Result<std::optional<Frame>, Violation> complete_partial();
  Violation fail(const Violation& violation);
  void keep(std::size_t bytes);
  void forget_shown();

  Bytes chunk_{};
  std::string partial_;
  const char* failed_what_ = nullptr;  // of the violation that it has come to
  std::uint32_t packet_size_max_;
  Reason failed_reason_ = Reason::success;
  bool partial_shown_ = false;  // `partial_` became a frame that was given out
};

}  // namespace skerry::mqtt
