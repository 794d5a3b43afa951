// CONNECT (section 3.1) in 5.0, 3.1.1 and 3.1.
#include "base/limits.hpp"
#include "mqtt/decode_parts.hpp"

namespace skerry::mqtt {
namespace {

constexpr std::uint32_t session_expiry_never = 0xFFFF'FFFF;

struct ConnectFlags {
  bool clean_start = false;
  bool will = false;
  std::uint8_t will_qos = 0;
  bool will_retain = false;
  bool password = false;
  bool user_name = false;
};

Version read_version(WireReader& reader) {
  const std::string_view name = as_text(reader.binary());
  const std::uint8_t level = reader.byte();
  if (name == "MQTT" && level == 5) {
    return Version::v5;
  }
  if (name == "MQTT" && level == 4) {
    return Version::v3_1_1;
  }
  if (name == "MQIsdp" && level == 3) {
    return Version::v3_1;
  }
  if (name == "MQTT" || name == "MQIsdp") {  // [MQTT-3.1.2-2]
    reader.fail(Reason::unsupported_protocol_version,
                "The protocol level is not one of 5 (MQTT 5.0), 4 (3.1.1) and 3 (3.1).");
  } else {  // [MQTT-3.1.2-1]
    reader.fail(Reason::unsupported_protocol_version, "The protocol name is not MQTT.");
  }
  return Version::v5;
}

ConnectFlags read_flags(WireReader& reader, Version version) {
  const std::uint8_t bits = reader.byte();
  const ConnectFlags flags{.clean_start = (bits & 0x02) != 0,
                           .will = (bits & 0x04) != 0,
                           .will_qos = static_cast<std::uint8_t>(bits >> 3 & 0x03),
                           .will_retain = (bits & 0x20) != 0,
                           .password = (bits & 0x40) != 0,
                           .user_name = (bits & 0x80) != 0};
  if ((bits & 0x01) != 0) {  // [MQTT-3.1.2-3]
    reader.fail(Reason::malformed_packet, "The reserved flag of CONNECT is set.");
  }
  if (flags.will_qos == 3) {  // [MQTT-3.1.2-12]
    reader.fail(Reason::malformed_packet, "The will has QoS 3.");
  }
  if (!flags.will && (flags.will_qos != 0 || flags.will_retain)) {  // [MQTT-3.1.2-11], -13
    reader.fail(Reason::malformed_packet, "Will QoS or Will Retain is set without a will.");
  }
  if (version != Version::v5 && flags.password && !flags.user_name) {  // 3.1.1: MQTT-3.1.2-22
    reader.fail(Reason::malformed_packet, "Before MQTT 5.0 a password needs a user name.");
  }
  return flags;
}

void read_properties(WireReader& reader, Connect& packet) {
  PropertyWalk walk(reader, PropertyPlace::connect);
  Property property;
  while (walk.next(property)) {
    switch (property.identifier) {
      case property::session_expiry_interval:
        packet.session_expiry_interval = property.number;
        break;
      case property::receive_maximum:
        packet.receive_maximum = static_cast<std::uint16_t>(property.number);
        break;
      case property::maximum_packet_size:
        packet.maximum_packet_size = property.number;
        break;
      case property::topic_alias_maximum:
        packet.topic_alias_maximum = static_cast<std::uint16_t>(property.number);
        break;
      case property::request_response_information:
        packet.request_response_information = property.number != 0;
        break;
      case property::request_problem_information:
        packet.request_problem_information = property.number != 0;
        break;
      case property::authentication_method:
        packet.authentication_method = property.text();
        break;
      case property::authentication_data:
        packet.authentication_data = property.bytes;
        break;
    }
  }
  packet.user_properties = walk.user_properties();
  if (packet.authentication_data && !packet.authentication_method) {  // section 3.1.2.11.10
    reader.fail(Reason::protocol_error, "Authentication Data stands without a method.");
  }
}

Will read_will(WireReader& reader, const ConnectFlags& flags, Version version) {
  Will will;
  will.qos = static_cast<Qos>(flags.will_qos);
  will.retain = flags.will_retain;
  if (version == Version::v5) {
    PropertyWalk walk(reader, PropertyPlace::will);
    Property property;
    while (walk.next(property)) {
      if (property.identifier == property::will_delay_interval) {
        will.delay_interval = property.number;
      } else {
        read_message_property(reader, property, will.properties);
      }
    }
    will.properties.user_properties = walk.user_properties();
  }
  will.topic = reader.text();  // [MQTT-3.1.3-11]
  if (reader.ok() && !is_valid_topic_name(will.topic)) {
    reader.fail(Reason::topic_name_invalid,
                "The will topic is empty, has a wildcard or has too many levels.");
  }
  will.payload = reader.binary();
  return will;
}

}  // namespace

Connect read_connect(WireReader& reader) {
  Connect packet;
  packet.version = read_version(reader);
  const ConnectFlags flags = read_flags(reader, packet.version);
  packet.clean_start = flags.clean_start;
  packet.keep_alive = reader.two_bytes();
  if (packet.version == Version::v5) {
    read_properties(reader, packet);
  } else {
    packet.session_expiry_interval = flags.clean_start ? 0 : session_expiry_never;
  }
  packet.client_id = reader.text();  // [MQTT-3.1.3-3, MQTT-3.1.3-4]
  if (flags.will) {                  // [MQTT-3.1.2-9]
    packet.will = read_will(reader, flags, packet.version);
  }
  // MQTT 3.1 lets Remaining Length win over the flags: a missing name or password is just absent.
  const bool may_be_missing = packet.version == Version::v3_1;
  if (flags.user_name && !(may_be_missing && reader.left() == 0)) {  // [MQTT-3.1.2-17]
    packet.user_name = reader.text();                                // [MQTT-3.1.3-12]
  }
  if (flags.password && !(may_be_missing && reader.left() == 0)) {  // [MQTT-3.1.2-19]
    packet.password = reader.binary();
  }
  return packet;
}

}  // namespace skerry::mqtt
