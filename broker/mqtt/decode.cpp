// decode(): dispatch by packet type, and the packets that are too small for a file of their own.
#include "mqtt/decode_parts.hpp"

namespace skerry::mqtt {
namespace {

/// Bit per packet type: which packets a sender can send at all.
constexpr std::uint32_t packets(auto... types) {
  return ((1u << static_cast<unsigned>(types)) | ...);
}

bool may_send(Context context, PacketType type) noexcept {
  using enum PacketType;
  constexpr std::uint32_t both = packets(publish, puback, pubrec, pubrel, pubcomp);
  constexpr std::uint32_t client =
      both | packets(connect, subscribe, unsubscribe, pingreq, disconnect, auth);
  constexpr std::uint32_t server = both | packets(connack, suback, unsuback, pingresp);
  constexpr std::uint32_t server_v5 = server | packets(disconnect, auth);
  const bool is_v5 = context.version == Version::v5;
  const std::uint32_t allowed =
      context.sender == Sender::client ? client : (is_v5 ? server_v5 : server);
  return (allowed >> static_cast<unsigned>(type) & 1u) != 0;
}

/// Type 0 is reserved, and so is 15 before MQTT 5.0.
bool type_exists(PacketType type, Version version) noexcept {
  return type >= PacketType::connect && (type != PacketType::auth || version == Version::v5);
}

/// The flags that packets other than PUBLISH must have [MQTT-2.1.3-1].
bool flags_are_right(std::uint8_t first_byte, Version version) noexcept {
  const unsigned flags = first_byte & 0x0Fu;
  switch (static_cast<PacketType>(first_byte >> 4)) {
    case PacketType::pubrel:       // [MQTT-3.6.1-1]
    case PacketType::subscribe:    // [MQTT-3.8.1-1]
    case PacketType::unsubscribe:  // [MQTT-3.10.1-1]
      // MQTT 3.1 sends these with QoS 1, and with DUP when it repeats them.
      return flags == 0x02u || (version == Version::v3_1 && flags == 0x0Au);
    default:
      return flags == 0;
  }
}

template <PacketType type>
Acknowledgement<type> read_acknowledgement(WireReader& reader, Context context) {
  Acknowledgement<type> packet;
  packet.packet_id = read_packet_id(reader);
  if (context.version != Version::v5 || reader.left() == 0) {
    return packet;  // a Remaining Length of 2 means success
  }
  packet.reason = read_reason(reader, type, context.sender);
  if (reader.left() > 0) {  // below a Remaining Length of 4 there is no Property Length
    read_reason_string(reader, place_of(type), packet);
  }
  return packet;
}

/// Reads the body of any packet but PUBLISH into the variant.
Packet read_packet(WireReader& reader, PacketType type, Context context) {
  switch (type) {
    case PacketType::connect:
      return read_connect(reader);
    case PacketType::connack:
      return read_connack(reader, context);
    case PacketType::publish:
      break;  // decode() does not come here with it
    case PacketType::puback:
      return read_acknowledgement<PacketType::puback>(reader, context);
    case PacketType::pubrec:
      return read_acknowledgement<PacketType::pubrec>(reader, context);
    case PacketType::pubrel:
      return read_acknowledgement<PacketType::pubrel>(reader, context);
    case PacketType::pubcomp:
      return read_acknowledgement<PacketType::pubcomp>(reader, context);
    case PacketType::subscribe:
      return read_subscribe(reader, context);
    case PacketType::suback:
      return read_suback(reader, context);
    case PacketType::unsubscribe:
      return read_unsubscribe(reader, context);
    case PacketType::unsuback:
      return read_unsuback(reader, context);
    case PacketType::pingreq:
      return Pingreq{};
    case PacketType::pingresp:
      return Pingresp{};
    case PacketType::disconnect:
      return read_disconnect(reader, context);
    case PacketType::auth:
      return read_auth(reader, context);
  }
  reader.fail(Reason::malformed_packet, "This packet type is reserved.");
  return Pingreq{};
}

}  // namespace

PacketId read_packet_id(WireReader& reader) noexcept {
  const PacketId id{reader.two_bytes()};
  if (id.value == 0) {  // [MQTT-2.2.1-3, MQTT-2.2.1-4]
    reader.fail(Reason::protocol_error, "The packet identifier is 0.");
  }
  return id;
}

PacketId decode_short_ack(const Frame& frame) noexcept {
  const unsigned type = frame.first_byte >> 4;
  const bool acknowledges = type >= static_cast<unsigned>(PacketType::puback) &&
                            type <= static_cast<unsigned>(PacketType::pubcomp);
  const unsigned flags = type == static_cast<unsigned>(PacketType::pubrel) ? 0x02u : 0u;
  if (!acknowledges || (frame.first_byte & 0x0Fu) != flags || frame.body.size() != 2) {
    return {};
  }
  return PacketId{static_cast<std::uint16_t>((frame.body[0] << 8) | frame.body[1])};
}

Reason read_reason(WireReader& reader, PacketType type, Sender sender) noexcept {
  const std::uint8_t code = reader.byte();
  // [MQTT-3.2.2-8, MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1, MQTT-3.9.3-2,
  //  MQTT-3.11.3-2, MQTT-3.14.2-1, MQTT-3.15.2-1]
  if (reader.ok() && !reason_may_stand_in(type, code, sender == Sender::client)) {
    reader.fail(Reason::protocol_error, "The reason code may not stand in this packet.");
  }
  return static_cast<Reason>(code);
}

Disconnect read_disconnect(WireReader& reader, Context context) {
  Disconnect packet;
  if (context.version != Version::v5 || reader.left() == 0) {
    return packet;  // a Remaining Length of 0 is the normal disconnection
  }
  packet.reason = read_reason(reader, PacketType::disconnect, context.sender);
  if (reader.left() == 0) {  // below a Remaining Length of 2 there is no Property Length
    return packet;
  }
  PropertyWalk walk(reader, PropertyPlace::disconnect);
  Property property;
  while (walk.next(property)) {
    switch (property.identifier) {
      case property::session_expiry_interval:
        packet.session_expiry_interval = property.number;
        break;
      case property::reason_string:
        packet.reason_string = property.text();
        break;
      case property::server_reference:
        packet.server_reference = property.text();
        break;
    }
  }
  packet.user_properties = walk.user_properties();
  if (context.sender == Sender::server && packet.session_expiry_interval) {  // [MQTT-3.14.2-2]
    reader.fail(Reason::protocol_error, "A server must not send a Session Expiry Interval here.");
  }
  return packet;
}

Auth read_auth(WireReader& reader, Context context) {
  Auth packet;
  if (reader.left() == 0) {  // means success, which only a server can say (table 3-11)
    if (context.sender == Sender::client) {
      reader.fail(Reason::protocol_error, "Only a server can say that authentication succeeded.");
    }
    return packet;
  }
  packet.reason = read_reason(reader, PacketType::auth, context.sender);
  PropertyWalk walk(reader, PropertyPlace::auth);
  Property property;
  while (walk.next(property)) {
    switch (property.identifier) {
      case property::authentication_method:
        packet.authentication_method = property.text();
        break;
      case property::authentication_data:
        packet.authentication_data = property.bytes;
        break;
      case property::reason_string:
        packet.reason_string = property.text();
        break;
    }
  }
  packet.user_properties = walk.user_properties();
  if (!packet.authentication_method) {  // section 3.15.2.2.2
    reader.fail(Reason::protocol_error, "AUTH must name the Authentication Method.");
  }
  return packet;
}

Result<Packet, Violation> decode(const Frame& frame, Version version, Sender sender) {
  const auto type = static_cast<PacketType>(frame.first_byte >> 4);
  WireReader reader(frame.body);
  const Context context{version, sender, {}};
  if (type == PacketType::publish) {
    Result<Packet, Violation> result(boost::system::in_place_value, std::in_place_type<Publish>);
    read_publish(reader, frame.first_byte, context, *std::get_if<Publish>(&*result));
    if (!reader.ok()) {
      result = reader.violation();
    }
    return result;
  }
  if (!type_exists(type, version)) {
    return Violation{Reason::malformed_packet, "This packet type is reserved."};
  }
  if (!flags_are_right(frame.first_byte, version)) {
    return Violation{Reason::malformed_packet, "The flags of the fixed header are not allowed."};
  }
  if (!may_send(context, type)) {
    return Violation{Reason::protocol_error, "This packet exists in the other direction only."};
  }
  Packet packet = read_packet(reader, type, context);
  if (reader.left() > 0) {
    reader.fail(Reason::malformed_packet, "Bytes are left over after the end of the packet.");
  }
  if (!reader.ok()) {
    return reader.violation();
  }
  return packet;
}

}  // namespace skerry::mqtt
