// CONNECT and CONNACK (sections 3.1 and 3.2).
#include "mqtt/encode_parts.hpp"
#include "mqtt/properties.hpp"
#include "mqtt/wire_writer.hpp"

namespace skerry::mqtt {
namespace {

std::optional<std::uint8_t> as_byte(std::optional<bool> value) {
  return value ? std::optional<std::uint8_t>(*value ? 1 : 0) : std::nullopt;
}

/// Nothing for the value that the property has when it is absent.
template <typename Integer>
std::optional<Integer> unless(Integer value, Integer absent) {
  return value != absent ? std::optional<Integer>(value) : std::nullopt;
}

std::uint8_t connect_flags(const Connect& packet) noexcept {
  unsigned bits = packet.clean_start ? 0x02u : 0u;
  if (packet.will) {
    bits |=
        0x04u | (static_cast<unsigned>(packet.will->qos) << 3) | (packet.will->retain ? 0x20u : 0u);
  }
  bits |= packet.password ? 0x40u : 0u;
  bits |= packet.user_name ? 0x80u : 0u;
  return static_cast<std::uint8_t>(bits);
}

template <typename Sink>
void put_connect_properties(Sink& sink, const Connect& packet) {
  put_four_bytes(sink, property::session_expiry_interval,
                 unless<std::uint32_t>(packet.session_expiry_interval, 0));
  put_two_bytes(sink, property::receive_maximum,
                unless<std::uint16_t>(packet.receive_maximum, 65'535));
  put_four_bytes(sink, property::maximum_packet_size,
                 unless<std::uint32_t>(packet.maximum_packet_size, 0));
  put_two_bytes(sink, property::topic_alias_maximum,
                unless<std::uint16_t>(packet.topic_alias_maximum, 0));
  put_byte(sink, property::request_response_information,
           unless<std::uint8_t>(packet.request_response_information, 0));
  put_byte(sink, property::request_problem_information,
           unless<std::uint8_t>(packet.request_problem_information, 1));
  put_text(sink, property::authentication_method, packet.authentication_method);
  put_binary(sink, property::authentication_data, packet.authentication_data);
  put_user_properties(sink, packet.user_properties);
}

template <typename Sink>
void put_will(Sink& sink, const Will& will, Version version) {
  if (version == Version::v5) {
    put_section(sink, [&will](auto& section) {
      put_four_bytes(section, property::will_delay_interval,
                     unless<std::uint32_t>(will.delay_interval, 0));
      put_message_properties(section, will.properties, will.properties.message_expiry_interval);
    });
  }
  sink.text(will.topic);
  sink.binary(will.payload);
}

template <typename Sink>
void put_connect(Sink& sink, const Connect& packet, Version version) {
  sink.text(version == Version::v3_1 ? "MQIsdp" : "MQTT");  // [MQTT-3.1.2-1]
  sink.byte(static_cast<std::uint8_t>(version));
  sink.byte(connect_flags(packet));
  sink.two_bytes(packet.keep_alive);
  if (version == Version::v5) {
    put_section(sink, [&packet](auto& section) { put_connect_properties(section, packet); });
  }
  sink.text(packet.client_id);  // the order is [MQTT-3.1.3-1]
  if (packet.will) {
    put_will(sink, *packet.will, version);
  }
  if (packet.user_name) {
    sink.text(*packet.user_name);
  }
  if (packet.password) {
    sink.binary(*packet.password);
  }
}

template <typename Sink>
void put_connack_properties(Sink& sink, const Connack& packet) {
  put_four_bytes(sink, property::session_expiry_interval, packet.session_expiry_interval);
  put_two_bytes(sink, property::receive_maximum, packet.receive_maximum);
  put_byte(sink, property::maximum_qos, packet.maximum_qos);
  put_byte(sink, property::retain_available, as_byte(packet.retain_available));
  put_four_bytes(sink, property::maximum_packet_size, packet.maximum_packet_size);
  put_text(sink, property::assigned_client_identifier, packet.assigned_client_identifier);
  put_two_bytes(sink, property::topic_alias_maximum, packet.topic_alias_maximum);
  put_text(sink, property::reason_string, packet.reason_string);
  put_byte(sink, property::wildcard_subscription_available,
           as_byte(packet.wildcard_subscription_available));
  put_byte(sink, property::subscription_identifier_available,
           as_byte(packet.subscription_identifiers_available));
  put_byte(sink, property::shared_subscription_available,
           as_byte(packet.shared_subscription_available));
  put_two_bytes(sink, property::server_keep_alive, packet.server_keep_alive);
  put_text(sink, property::response_information, packet.response_information);
  put_text(sink, property::server_reference, packet.server_reference);
  put_text(sink, property::authentication_method, packet.authentication_method);
  put_binary(sink, property::authentication_data, packet.authentication_data);
  put_user_properties(sink, packet.user_properties);
}

template <typename Sink>
void put_connack(Sink& sink, const Connack& packet, Version version) {
  // [MQTT-3.2.2-6]; MQTT 3.1 has no Session Present, its byte is reserved.
  const bool session_present =
      packet.session_present && packet.reason == Reason::success && version != Version::v3_1;
  sink.byte(session_present ? 1 : 0);
  if (version != Version::v5) {
    sink.byte(connack_return_code(packet.reason));
    return;
  }
  sink.byte(static_cast<std::uint8_t>(packet.reason));
  put_section(sink, [&packet](auto& section) { put_connack_properties(section, packet); });
}

}  // namespace

void encode_part(const Connect& packet, Version version, std::string& out) {
  append_packet(out, first_byte_of(PacketType::connect),
                [&](auto& sink) { put_connect(sink, packet, version); });
}

void encode_part(const Connack& packet, Version version, std::string& out) {
  append_packet(out, first_byte_of(PacketType::connack),
                [&](auto& sink) { put_connack(sink, packet, version); });
}

}  // namespace skerry::mqtt
