// PUBLISH (section 3.3), the hot path of delivery.
#include "base/limits.hpp"
#include "mqtt/codec.hpp"
#include "mqtt/encode_parts.hpp"
#include "mqtt/properties.hpp"
#include "mqtt/wire_writer.hpp"

namespace skerry::mqtt {
namespace {

/// Everything before the payload. The alias is optional here because a decoded packet may carry
/// alias 0, which encode() must give back.
struct PublishForm {
  const MessageProperties& properties;
  const PublishHeader& header;
  std::string_view topic;
  std::optional<std::uint16_t> topic_alias;
};

template <typename Sink>
void put_properties(Sink& sink, const PublishForm& form) {
  put_message_properties(sink, form.properties, form.header.message_expiry_interval);
  put_two_bytes(sink, property::topic_alias, form.topic_alias);
  for (const std::uint32_t identifier : form.header.subscription_identifiers) {
    sink.byte(property::subscription_identifier);
    sink.variable_byte_integer(identifier);
  }
}

PublishForm form_of(const Publish& message, const PublishHeader& header) noexcept {
  return {.properties = message.properties,
          .header = header,
          .topic = header.topic_empty ? std::string_view{} : message.topic,
          .topic_alias = header.topic_alias != 0 ? std::optional(header.topic_alias)
                                                 : std::optional<std::uint16_t>()};
}

struct PublishSize {
  std::size_t properties = 0;
  std::size_t remaining = 0;  ///< Remaining Length
  std::size_t whole() const noexcept {
    return 1 + variable_byte_integer_size(remaining) + remaining;
  }
};

PublishSize size_of(const PublishForm& form, Bytes payload, Version version) noexcept {
  PublishSize size;
  size.remaining = 2 + form.topic.size() + payload.size();
  if (form.header.qos != Qos::at_most_once) {
    size.remaining += 2;
  }
  if (version == Version::v5) {
    SizeSink measure;
    put_properties(measure, form);
    size.properties = measure.size();
    size.remaining += variable_byte_integer_size(size.properties) + size.properties;
  }
  return size;
}

std::uint8_t first_byte_of(const PublishHeader& header) noexcept {
  const bool has_acknowledgement = header.qos != Qos::at_most_once;
  const bool dup = header.dup && has_acknowledgement;  // [MQTT-3.3.1-2]
  return first_byte_of(PacketType::publish, (dup ? 0x08u : 0u) |
                                                (static_cast<unsigned>(header.qos) << 1) |
                                                (header.retain ? 0x01u : 0u));
}

void append_publish(std::string& out, const PublishForm& form, Bytes payload, Version version) {
  const PublishSize size = size_of(form, payload, version);
  if (size.remaining > remaining_length_max) {
    return;
  }
  const std::size_t start = out.size();
  out.reserve(start + size.whole());
  out.resize(start + size.whole() - payload.size());
  WriteSink sink(out.data() + start);
  sink.byte(first_byte_of(form.header));
  sink.variable_byte_integer(static_cast<std::uint32_t>(size.remaining));
  sink.text(form.topic);
  if (form.header.qos != Qos::at_most_once) {  // [MQTT-2.2.1-2]
    sink.two_bytes(form.header.packet_id.value);
  }
  if (version == Version::v5) {  // [MQTT-2.2.2-1]
    sink.variable_byte_integer(static_cast<std::uint32_t>(size.properties));
    if (size.properties != 0) {
      put_properties(sink, form);
    }
  }
  SKERRY_ASSERT(sink.position() == out.data() + out.size());
  out.append(as_text(payload));
}

/// Is the packet that came the one that goes out, but for flags and packet id?
bool goes_on_as_it_came(const Publish& message, const PublishHeader& header,
                        Version version) noexcept {
  return !message.whole.empty() && message.whole_is_v5 == (version == Version::v5) &&
         message.qos == header.qos && header.topic_alias == 0 && !header.topic_empty &&
         header.subscription_identifiers.empty() &&
         header.message_expiry_interval == message.properties.message_expiry_interval;
}

void append_as_it_came(const Publish& message, const PublishHeader& header, std::string& out) {
  const std::string_view whole = as_text(message.whole);
  const std::size_t start = out.size();
  out.append(whole);
  char* const at = out.data() + start;
  *at = static_cast<char>(first_byte_of(header));
  if (header.qos != Qos::at_most_once) {  // [MQTT-2.2.1-2]
    WriteSink(at + (message.topic.data() + message.topic.size() - whole.data()))
        .two_bytes(header.packet_id.value);
  }
}

}  // namespace

void encode_publish(const Publish& message, const PublishHeader& header, Version version,
                    std::string& out) {
  if (goes_on_as_it_came(message, header, version)) {
    append_as_it_came(message, header, out);
    return;
  }
  append_publish(out, form_of(message, header), message.payload, version);
}

std::size_t encoded_publish_size(const Publish& message, const PublishHeader& header,
                                 Version version) noexcept {
  return size_of(form_of(message, header), message.payload, version).whole();
}

void encode_part(const Publish& packet, Version version, std::string& out) {
  const PublishHeader header{
      .packet_id = packet.packet_id,
      .qos = packet.qos,
      .retain = packet.retain,
      .dup = packet.dup,
      .topic_alias = 0,
      .topic_empty = false,
      .message_expiry_interval = packet.properties.message_expiry_interval,
      .subscription_identifiers = packet.subscription_identifiers,
  };
  const PublishForm form{.properties = packet.properties,
                         .header = header,
                         .topic = packet.topic,
                         .topic_alias = packet.topic_alias};
  append_publish(out, form, packet.payload, version);
}

}  // namespace skerry::mqtt
