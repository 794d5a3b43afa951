// decode() and encode(): the wire form of every control packet in MQTT 3.1, 3.1.1 and 5.0. Strict
// in what it accepts; no I/O, no clock, no session state: what depends on state (aliases in use,
// packet identifiers in use, Receive Maximum) is judged by the session.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "mqtt/frame.hpp"
#include "mqtt/packet.hpp"

namespace skerry::mqtt {

/// Who sent the packet: some packets and properties exist in one direction only.
enum class Sender : std::uint8_t { client, server };

/// Decodes one frame. `version` is that of the connection; for CONNECT it is ignored and read from
/// the packet. The views in the answer point into `frame`.
/// Malformed or forbidden content gives the Violation whose reason the specification names:
/// malformed_packet, protocol_error, unsupported_protocol_version (CONNECT with an unknown level
/// [MQTT-3.1.2-2]), topic_name_invalid, topic_filter_invalid, and quota_exceeded for more user
/// properties or filters than the caps. Payloads are not checked against their format.
/// In 3.1 and 3.1.1, Connect::session_expiry_interval is 0 with clean session, else 0xFFFFFFFF.
/// O(bytes); allocates only for SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK lists.
Result<Packet, Violation> decode(const Frame& frame, Version version, Sender sender);

/// Decodes a PUBLISH without going through the variant; for the hot path.
/// `frame.first_byte` must be of type PUBLISH. `known_topic`: a topic name that was found valid
/// before, such as this client's last, or empty; when it comes again it is not checked again.
Result<Publish, Violation> decode_publish(const Frame& frame, Version version, Sender sender,
                                          std::string_view known_topic = {});

/// The packet id of a PUBACK, PUBREC, PUBREL or PUBCOMP in its shortest form, which means success
/// in every version, without going through the variant; 0: decode() must judge the frame.
PacketId decode_short_ack(const Frame& frame) noexcept;

/// Appends the packet's wire form in `version` to `out`; that holds for CONNECT too. Properties are
/// left out in 3.1 and 3.1.1. Nothing is appended for what those versions do not have: AUTH, and a
/// DISCONNECT with a reason, which only a server would send (one that says success is a client's).
/// Nothing is appended either when the packet would exceed the largest Remaining Length.
void encode(const Packet& packet, Version version, std::string& out);

/// PUBACK, PUBREC, PUBREL or PUBCOMP in the short form: reason only when it is not success.
void encode_ack(PacketType type, PacketId packet_id, Reason reason, Version version,
                std::string& out);

/// What differs from recipient to recipient of one message.
struct PublishHeader {
  PacketId packet_id;
  Qos qos = Qos::at_most_once;
  bool retain = false;
  bool dup = false;
  std::uint16_t topic_alias = 0;                         ///< 0: none
  bool topic_empty = false;                              ///< the alias alone stands for the topic
  std::optional<std::uint32_t> message_expiry_interval;  ///< replaces the message's own
  std::span<const std::uint32_t> subscription_identifiers;
};

/// Appends a PUBLISH made of `message` (topic, payload and properties; its own header fields, alias
/// and expiry are ignored) and `header`. The hot path of delivery: one pass, no allocation besides
/// the growth of `out`; a copy of `message.whole` where that says the same.
void encode_publish(const Publish& message, const PublishHeader& header, Version version,
                    std::string& out);

/// Bytes that encode_publish would append.
std::size_t encoded_publish_size(const Publish& message, const PublishHeader& header,
                                 Version version) noexcept;

}  // namespace skerry::mqtt
