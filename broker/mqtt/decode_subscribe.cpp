// SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11).
#include "base/limits.hpp"
#include "mqtt/decode_parts.hpp"

namespace skerry::mqtt {
namespace {

std::string_view read_filter(WireReader& reader) {
  const std::string_view filter = reader.text();  // [MQTT-3.8.3-1, MQTT-3.10.3-1]
  if (reader.ok() && !is_valid_topic_filter(filter)) {
    reader.fail(Reason::topic_filter_invalid,
                "A topic filter is empty, has a misplaced wildcard, too many levels, or is a"
                " $share without a name and a filter.");
  }
  return filter;
}

void read_options(WireReader& reader, Version version, SubscribeFilter& subscription) {
  const std::uint8_t bits = reader.byte();
  const bool is_v5 = version == Version::v5;
  SubscriptionOptions& options = subscription.options;
  options.maximum_qos = static_cast<Qos>(bits & 0x03);
  options.no_local = (bits & 0x04) != 0;
  options.retain_as_published = (bits & 0x08) != 0;
  options.retain_handling = bits >> 4 & 0x03;
  if ((bits & (is_v5 ? 0xC0 : 0xFC)) != 0) {  // [MQTT-3.8.3-5]
    reader.fail(Reason::malformed_packet, "Reserved bits of the Subscription Options are set.");
  }
  if ((bits & 0x03) == 3) {  // section 3.8.3.1; in 3.1.1 MQTT-3-8.3-4
    reader.fail(is_v5 ? Reason::protocol_error : Reason::malformed_packet,
                "A subscription asks for QoS 3.");
  }
  if (options.retain_handling == 3) {
    reader.fail(Reason::protocol_error, "Retain Handling must not be 3.");
  }
  if (options.no_local && is_shared_filter(subscription.filter)) {  // [MQTT-3.8.3-4]
    reader.fail(Reason::protocol_error, "A shared subscription must not have No Local.");
  }
}

bool has_room(WireReader& reader, std::size_t count) {
  if (count < filters_per_packet_max) {
    return true;
  }
  reader.fail(Reason::quota_exceeded, "The packet has more than 1,024 filters or reason codes.");
  return false;
}

void read_subscribe_properties(WireReader& reader, Subscribe& packet) {
  PropertyWalk walk(reader, PropertyPlace::subscribe);
  Property property;
  while (walk.next(property)) {
    packet.subscription_identifier = property.number;
  }
  packet.user_properties = walk.user_properties();
}

void read_reasons(WireReader& reader, PacketType type, std::vector<Reason>& reasons) {
  while (reader.left() > 0 && has_room(reader, reasons.size())) {
    reasons.push_back(read_reason(reader, type, Sender::server));
  }
  if (reasons.empty()) {
    reader.fail(Reason::protocol_error, "The acknowledgement has no reason code.");
  }
}

}  // namespace

Subscribe read_subscribe(WireReader& reader, Context context) {
  Subscribe packet;
  packet.packet_id = read_packet_id(reader);
  if (context.version == Version::v5) {
    read_subscribe_properties(reader, packet);
  }
  while (reader.left() > 0 && has_room(reader, packet.filters.size())) {
    SubscribeFilter& subscription = packet.filters.emplace_back();
    subscription.filter = read_filter(reader);
    read_options(reader, context.version, subscription);
  }
  if (packet.filters.empty()) {  // [MQTT-3.8.3-2]
    reader.fail(Reason::protocol_error, "SUBSCRIBE has no topic filter.");
  }
  return packet;
}

Unsubscribe read_unsubscribe(WireReader& reader, Context context) {
  Unsubscribe packet;
  packet.packet_id = read_packet_id(reader);
  if (context.version == Version::v5) {
    PropertyWalk walk(reader, PropertyPlace::unsubscribe);
    Property property;
    while (walk.next(property)) {
    }
    packet.user_properties = walk.user_properties();
  }
  while (reader.left() > 0 && has_room(reader, packet.filters.size())) {
    packet.filters.push_back(read_filter(reader));
  }
  if (packet.filters.empty()) {  // [MQTT-3.10.3-2]
    reader.fail(Reason::protocol_error, "UNSUBSCRIBE has no topic filter.");
  }
  return packet;
}

Suback read_suback(WireReader& reader, Context context) {
  Suback packet;
  packet.packet_id = read_packet_id(reader);
  if (context.version == Version::v5) {
    read_reason_string(reader, PropertyPlace::suback, packet);
  }
  read_reasons(reader, PacketType::suback, packet.reasons);
  if (context.version == Version::v5) {
    return packet;
  }
  for (const Reason reason : packet.reasons) {  // 3.1.1: MQTT-3.9.3-2
    if (is_error(reason) && reason != Reason::unspecified_error) {
      reader.fail(Reason::protocol_error, "A return code of SUBACK is not 0, 1, 2 or 0x80.");
    }
  }
  return packet;
}

Unsuback read_unsuback(WireReader& reader, Context context) {
  Unsuback packet;
  packet.packet_id = read_packet_id(reader);
  if (context.version == Version::v5) {
    read_reason_string(reader, PropertyPlace::unsuback, packet);
    read_reasons(reader, PacketType::unsuback, packet.reasons);
  }
  return packet;
}

}  // namespace skerry::mqtt
