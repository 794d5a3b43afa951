// The bodies of the packets, one reader each; decode() in decode.cpp calls them. A reader leaves
// what it finds wrong in the WireReader and may then answer anything. Internal to this folder.
#pragma once

#include "mqtt/codec.hpp"
#include "mqtt/properties.hpp"
#include "mqtt/reason_rules.hpp"
#include "mqtt/wire_reader.hpp"

namespace skerry::mqtt {

/// What a body's meaning depends on besides its bytes.
struct Context {
  Version version = Version::v5;
  Sender sender = Sender::client;
  std::string_view known_topic{};  ///< of decode_publish()
};

Connect read_connect(WireReader& reader);
Connack read_connack(WireReader& reader, Context context);
Subscribe read_subscribe(WireReader& reader, Context context);
Suback read_suback(WireReader& reader, Context context);
Unsubscribe read_unsubscribe(WireReader& reader, Context context);
Unsuback read_unsuback(WireReader& reader, Context context);
Disconnect read_disconnect(WireReader& reader, Context context);
Auth read_auth(WireReader& reader, Context context);

/// Fills `packet` where it will stay; for the hot path.
void read_publish(WireReader& reader, std::uint8_t first_byte, Context context, Publish& packet);

/// A packet identifier, which is never 0.
PacketId read_packet_id(WireReader& reader) noexcept;

/// A reason code that may stand in a packet of `type`.
Reason read_reason(WireReader& reader, PacketType type, Sender sender) noexcept;

/// What a message carries, of a PUBLISH or of a will; false when `property` is none of these.
bool read_message_property(WireReader& reader, const Property& property,
                           MessageProperties& properties) noexcept;

/// Reads the properties of a packet that has none but a reason string and user properties.
template <typename PacketWithReasonString>
void read_reason_string(WireReader& reader, PropertyPlace place, PacketWithReasonString& packet) {
  PropertyWalk walk(reader, place);
  Property property;
  while (walk.next(property)) {
    packet.reason_string = property.text();
  }
  packet.user_properties = walk.user_properties();
}

}  // namespace skerry::mqtt
