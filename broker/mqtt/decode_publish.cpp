// PUBLISH (section 3.3), the hot path of receiving.
#include "base/limits.hpp"
#include "mqtt/decode_parts.hpp"

namespace skerry::mqtt {
namespace {

void read_properties(WireReader& reader, Publish& packet) {
  PropertyWalk walk(reader, PropertyPlace::publish);
  Property property;
  while (walk.next(property)) {
    if (read_message_property(reader, property, packet.properties)) {
      continue;
    }
    if (property.identifier == property::topic_alias) {
      packet.topic_alias = static_cast<std::uint16_t>(property.number);
    } else if (packet.subscription_identifiers.size() < filters_per_packet_max) {
      packet.subscription_identifiers.push_back(property.number);
    } else {
      reader.fail(Reason::quota_exceeded, "PUBLISH has more than 1,024 Subscription Identifiers.");
    }
  }
  packet.properties.user_properties = walk.user_properties();
}

void check_topic(WireReader& reader, const Publish& packet, Context context) {
  if (packet.topic.empty() && context.version == Version::v5) {
    if (!packet.topic_alias) {  // section 3.3.2.1
      reader.fail(Reason::protocol_error, "PUBLISH has neither a topic name nor a topic alias.");
    }
    return;
  }
  if (!is_valid_topic_name(packet.topic)) {  // [MQTT-3.3.2-2]
    reader.fail(Reason::topic_name_invalid,
                "The topic name is empty, has a wildcard or has too many levels.");
  }
}

}  // namespace

bool read_message_property(WireReader& reader, const Property& property,
                           MessageProperties& properties) noexcept {
  switch (property.identifier) {
    case property::payload_format_indicator:
      properties.payload_format_indicator = static_cast<std::uint8_t>(property.number);
      return true;
    case property::message_expiry_interval:
      properties.message_expiry_interval = property.number;
      return true;
    case property::content_type:
      properties.content_type = property.text();
      return true;
    case property::response_topic:
      properties.response_topic = property.text();
      if (!is_valid_topic_name(property.text())) {  // [MQTT-3.3.2-14]
        reader.fail(Reason::protocol_error, "The Response Topic is not a valid topic name.");
      }
      return true;
    case property::correlation_data:
      properties.correlation_data = property.bytes;
      return true;
  }
  return false;
}

void read_publish(WireReader& reader, std::uint8_t first_byte, Context context, Publish& packet) {
  const unsigned qos = first_byte >> 1 & 0x03u;
  packet.qos = static_cast<Qos>(qos);
  packet.retain = (first_byte & 0x01) != 0;
  packet.dup = (first_byte & 0x08) != 0;
  if (qos == 3) {  // [MQTT-3.3.1-4]
    reader.fail(Reason::malformed_packet, "PUBLISH has both QoS bits set.");
  }
  if (qos == 0 && packet.dup) {  // [MQTT-3.3.1-2]
    reader.fail(Reason::malformed_packet, "PUBLISH has DUP set at QoS 0.");
  }
  packet.topic = as_text(reader.binary());  // [MQTT-3.3.2-1]
  const bool is_known = !packet.topic.empty() && packet.topic == context.known_topic;
  if (!is_known && !is_valid_utf8(packet.topic)) {
    reader.fail_text();
  }
  if (qos != 0) {  // [MQTT-2.2.1-2]
    packet.packet_id = read_packet_id(reader);
  }
  if (context.version == Version::v5) {
    read_properties(reader, packet);
  }
  if (!reader.ok()) {
    return;
  }
  if (!is_known) {
    check_topic(reader, packet, context);
  }
  if (context.sender == Sender::client && !packet.subscription_identifiers.empty()) {
    reader.fail(Reason::protocol_error,  // [MQTT-3.3.4-6]
                "A client must not send a Subscription Identifier in PUBLISH.");
  }
  packet.payload = reader.rest();
}

Result<Publish, Violation> decode_publish(const Frame& frame, Version version, Sender sender,
                                          std::string_view known_topic) {
  Result<Publish, Violation> result(boost::system::in_place_value);
  Publish& packet = *result;
  WireReader reader(frame.body);
  read_publish(reader, frame.first_byte, {version, sender, known_topic}, packet);
  if (!reader.ok()) {
    result = reader.violation();
  } else if (!packet.topic_alias && packet.subscription_identifiers.empty()) {
    packet.whole = frame.whole;
    packet.whole_is_v5 = version == Version::v5;
  }
  return result;
}

}  // namespace skerry::mqtt
