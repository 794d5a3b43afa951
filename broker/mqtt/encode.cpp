// encode(): dispatch by packet type, and the packets that are too small for a file of their own.
#include "mqtt/codec.hpp"
#include "mqtt/encode_parts.hpp"
#include "mqtt/properties.hpp"
#include "mqtt/wire_writer.hpp"

namespace skerry::mqtt {
namespace {

unsigned acknowledgement_flags(PacketType type) noexcept {
  return type == PacketType::pubrel ? 0x02u : 0u;  // [MQTT-3.6.1-1]
}

template <PacketType type>
void encode_part(const Acknowledgement<type>& packet, Version version, std::string& out) {
  const bool has_properties = packet.reason_string || !packet.user_properties.empty();
  if (version != Version::v5 || !has_properties) {
    encode_ack(type, packet.packet_id, packet.reason, version, out);
    return;
  }
  append_packet(out, first_byte_of(type, acknowledgement_flags(type)), [&packet](auto& sink) {
    sink.two_bytes(packet.packet_id.value);
    sink.byte(static_cast<std::uint8_t>(packet.reason));
    put_section(sink, [&packet](auto& section) {
      put_text(section, property::reason_string, packet.reason_string);
      put_user_properties(section, packet.user_properties);
    });
  });
}

void encode_part(const Pingreq&, Version, std::string& out) {
  out.append("\xC0\x00", 2);
}

void encode_part(const Pingresp&, Version, std::string& out) {
  out.append("\xD0\x00", 2);
}

template <typename Sink>
void put_disconnect_properties(Sink& sink, const Disconnect& packet) {
  put_four_bytes(sink, property::session_expiry_interval, packet.session_expiry_interval);
  put_text(sink, property::reason_string, packet.reason_string);
  put_text(sink, property::server_reference, packet.server_reference);
  put_user_properties(sink, packet.user_properties);
}

void encode_part(const Disconnect& packet, Version version, std::string& out) {
  if (version != Version::v5 && packet.reason != Reason::success) {
    return;  // before 5.0 only a client disconnects, and only normally
  }
  SizeSink properties;
  put_disconnect_properties(properties, packet);
  append_packet(out, first_byte_of(PacketType::disconnect), [&](auto& sink) {
    if (version != Version::v5) {
      return;
    }
    if (packet.reason != Reason::success || properties.size() != 0) {
      sink.byte(static_cast<std::uint8_t>(packet.reason));
    }
    if (properties.size() != 0) {
      put_section(sink, [&packet](auto& section) { put_disconnect_properties(section, packet); });
    }
  });
}

template <typename Sink>
void put_auth_properties(Sink& sink, const Auth& packet) {
  put_text(sink, property::authentication_method, packet.authentication_method);
  put_binary(sink, property::authentication_data, packet.authentication_data);
  put_text(sink, property::reason_string, packet.reason_string);
  put_user_properties(sink, packet.user_properties);
}

void encode_part(const Auth& packet, Version version, std::string& out) {
  if (version != Version::v5) {
    return;
  }
  SizeSink properties;
  put_auth_properties(properties, packet);
  append_packet(out, first_byte_of(PacketType::auth), [&](auto& sink) {
    if (packet.reason == Reason::success && properties.size() == 0) {
      return;  // section 3.15.2.1
    }
    sink.byte(static_cast<std::uint8_t>(packet.reason));
    put_section(sink, [&packet](auto& section) { put_auth_properties(section, packet); });
  });
}

}  // namespace

void encode(const Packet& packet, Version version, std::string& out) {
  std::visit([&](const auto& each) { encode_part(each, version, out); }, packet);
}

void encode_ack(PacketType type, PacketId packet_id, Reason reason, Version version,
                std::string& out) {
  const bool has_reason = version == Version::v5 && reason != Reason::success;
  const char bytes[5] = {
      static_cast<char>(first_byte_of(type, acknowledgement_flags(type))),
      static_cast<char>(has_reason ? 3 : 2),
      static_cast<char>(packet_id.value >> 8),
      static_cast<char>(packet_id.value & 0xFF),
      static_cast<char>(reason),
  };
  out.append(bytes, has_reason ? 5 : 4);
}

}  // namespace skerry::mqtt
