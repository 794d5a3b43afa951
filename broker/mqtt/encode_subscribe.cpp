// SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11).
#include "mqtt/encode_parts.hpp"
#include "mqtt/properties.hpp"
#include "mqtt/wire_writer.hpp"

namespace skerry::mqtt {
namespace {

constexpr unsigned subscribe_flags = 0x02;  // [MQTT-3.8.1-1, MQTT-3.10.1-1]

std::uint8_t options_byte(const SubscriptionOptions& options, Version version) noexcept {
  unsigned bits = static_cast<unsigned>(options.maximum_qos);
  if (version == Version::v5) {
    bits |= (options.no_local ? 0x04u : 0u) | (options.retain_as_published ? 0x08u : 0u) |
            (static_cast<unsigned>(options.retain_handling) << 4);
  }
  return static_cast<std::uint8_t>(bits);
}

template <typename Sink>
void put_subscribe(Sink& sink, const Subscribe& packet, Version version) {
  sink.two_bytes(packet.packet_id.value);
  if (version == Version::v5) {
    put_section(sink, [&packet](auto& section) {
      if (packet.subscription_identifier != 0) {
        section.byte(property::subscription_identifier);
        section.variable_byte_integer(packet.subscription_identifier);
      }
      put_user_properties(section, packet.user_properties);
    });
  }
  for (const SubscribeFilter& each : packet.filters) {
    sink.text(each.filter);
    sink.byte(options_byte(each.options, version));
  }
}

template <typename Sink>
void put_unsubscribe(Sink& sink, const Unsubscribe& packet, Version version) {
  sink.two_bytes(packet.packet_id.value);
  if (version == Version::v5) {
    put_section(sink,
                [&packet](auto& section) { put_user_properties(section, packet.user_properties); });
  }
  for (const std::string_view filter : packet.filters) {
    sink.text(filter);
  }
}

/// SUBACK and UNSUBACK up to their reason codes.
template <typename Sink, typename Acknowledged>
void put_head(Sink& sink, const Acknowledged& packet, Version version) {
  sink.two_bytes(packet.packet_id.value);
  if (version == Version::v5) {
    put_section(sink, [&packet](auto& section) {
      put_text(section, property::reason_string, packet.reason_string);
      put_user_properties(section, packet.user_properties);
    });
  }
}

}  // namespace

void encode_part(const Subscribe& packet, Version version, std::string& out) {
  append_packet(out, first_byte_of(PacketType::subscribe, subscribe_flags),
                [&](auto& sink) { put_subscribe(sink, packet, version); });
}

void encode_part(const Unsubscribe& packet, Version version, std::string& out) {
  append_packet(out, first_byte_of(PacketType::unsubscribe, subscribe_flags),
                [&](auto& sink) { put_unsubscribe(sink, packet, version); });
}

void encode_part(const Suback& packet, Version version, std::string& out) {
  append_packet(out, first_byte_of(PacketType::suback), [&](auto& sink) {
    put_head(sink, packet, version);
    for (const Reason reason : packet.reasons) {
      // 3.1.1 knows one failure, 0x80 (its MQTT-3.9.3-2).
      const bool plain_failure = version != Version::v5 && is_error(reason);
      sink.byte(static_cast<std::uint8_t>(plain_failure ? Reason::unspecified_error : reason));
    }
  });
}

void encode_part(const Unsuback& packet, Version version, std::string& out) {
  append_packet(out, first_byte_of(PacketType::unsuback), [&](auto& sink) {
    put_head(sink, packet, version);
    if (version == Version::v5) {
      for (const Reason reason : packet.reasons) {
        sink.byte(static_cast<std::uint8_t>(reason));
      }
    }
  });
}

}  // namespace skerry::mqtt
