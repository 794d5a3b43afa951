// CONNACK (section 3.2), which clients decode: our benchmark, bridge and tests.
#include "mqtt/decode_parts.hpp"

namespace skerry::mqtt {
namespace {

bool read_capability(const Property& property, Connack& packet) noexcept {
  switch (property.identifier) {
    case property::maximum_qos:
      packet.maximum_qos = static_cast<std::uint8_t>(property.number);
      return true;
    case property::retain_available:
      packet.retain_available = property.number != 0;
      return true;
    case property::wildcard_subscription_available:
      packet.wildcard_subscription_available = property.number != 0;
      return true;
    case property::subscription_identifier_available:
      packet.subscription_identifiers_available = property.number != 0;
      return true;
    case property::shared_subscription_available:
      packet.shared_subscription_available = property.number != 0;
      return true;
    case property::session_expiry_interval:
      packet.session_expiry_interval = property.number;
      return true;
    case property::receive_maximum:
      packet.receive_maximum = static_cast<std::uint16_t>(property.number);
      return true;
    case property::maximum_packet_size:
      packet.maximum_packet_size = property.number;
      return true;
    case property::topic_alias_maximum:
      packet.topic_alias_maximum = static_cast<std::uint16_t>(property.number);
      return true;
    case property::server_keep_alive:
      packet.server_keep_alive = static_cast<std::uint16_t>(property.number);
      return true;
  }
  return false;
}

void read_words(const Property& property, Connack& packet) noexcept {
  switch (property.identifier) {
    case property::assigned_client_identifier:
      packet.assigned_client_identifier = property.text();
      break;
    case property::reason_string:
      packet.reason_string = property.text();
      break;
    case property::response_information:
      packet.response_information = property.text();
      break;
    case property::server_reference:
      packet.server_reference = property.text();
      break;
    case property::authentication_method:
      packet.authentication_method = property.text();
      break;
    case property::authentication_data:
      packet.authentication_data = property.bytes;
      break;
  }
}

}  // namespace

Connack read_connack(WireReader& reader, Context context) {
  Connack packet;
  const std::uint8_t flags = reader.byte();
  if (flags > 1) {  // [MQTT-3.2.2-1]
    reader.fail(Reason::malformed_packet, "Reserved flags of CONNACK are set.");
  }
  packet.session_present = flags != 0;
  if (context.version == Version::v5) {
    packet.reason = read_reason(reader, PacketType::connack, context.sender);
    PropertyWalk walk(reader, PropertyPlace::connack);
    Property property;
    while (walk.next(property)) {
      if (!read_capability(property, packet)) {
        read_words(property, packet);
      }
    }
    packet.user_properties = walk.user_properties();
  } else {
    const std::uint8_t code = reader.byte();
    if (code > 5) {
      reader.fail(Reason::protocol_error, "The return code of CONNACK is reserved.");
    } else {
      packet.reason = reason_of_return_code(code);
    }
  }
  if (packet.session_present && packet.reason != Reason::success) {  // [MQTT-3.2.2-6]
    reader.fail(Reason::protocol_error, "CONNACK refuses, yet says that a session is present.");
  }
  return packet;
}

}  // namespace skerry::mqtt
