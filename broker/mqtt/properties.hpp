// The 27 properties of MQTT 5.0 (table 2-4): identifiers, types, where each may stand, and the walk
// over a property section. Internal to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "mqtt/packet.hpp"
#include "mqtt/wire_reader.hpp"

namespace skerry::mqtt {

/// Plain numbers, so that a packet's switch lists the properties it has and no others.
namespace property {
inline constexpr std::uint8_t payload_format_indicator = 0x01;
inline constexpr std::uint8_t message_expiry_interval = 0x02;
inline constexpr std::uint8_t content_type = 0x03;
inline constexpr std::uint8_t response_topic = 0x08;
inline constexpr std::uint8_t correlation_data = 0x09;
inline constexpr std::uint8_t subscription_identifier = 0x0B;
inline constexpr std::uint8_t session_expiry_interval = 0x11;
inline constexpr std::uint8_t assigned_client_identifier = 0x12;
inline constexpr std::uint8_t server_keep_alive = 0x13;
inline constexpr std::uint8_t authentication_method = 0x15;
inline constexpr std::uint8_t authentication_data = 0x16;
inline constexpr std::uint8_t request_problem_information = 0x17;
inline constexpr std::uint8_t will_delay_interval = 0x18;
inline constexpr std::uint8_t request_response_information = 0x19;
inline constexpr std::uint8_t response_information = 0x1A;
inline constexpr std::uint8_t server_reference = 0x1C;
inline constexpr std::uint8_t reason_string = 0x1F;
inline constexpr std::uint8_t receive_maximum = 0x21;
inline constexpr std::uint8_t topic_alias_maximum = 0x22;
inline constexpr std::uint8_t topic_alias = 0x23;
inline constexpr std::uint8_t maximum_qos = 0x24;
inline constexpr std::uint8_t retain_available = 0x25;
inline constexpr std::uint8_t user_property = 0x26;
inline constexpr std::uint8_t maximum_packet_size = 0x27;
inline constexpr std::uint8_t wildcard_subscription_available = 0x28;
inline constexpr std::uint8_t subscription_identifier_available = 0x29;
inline constexpr std::uint8_t shared_subscription_available = 0x2A;
}  // namespace property

/// Whose properties: a packet's by its type, or those of the will in CONNECT.
enum class PropertyPlace : std::uint8_t {
  will = 0,
  connect,
  connack,
  publish,
  puback,
  pubrec,
  pubrel,
  pubcomp,
  subscribe,
  suback,
  unsubscribe,
  unsuback,
  pingreq,
  pingresp,
  disconnect,
  auth,
};

constexpr PropertyPlace place_of(PacketType type) noexcept {
  return static_cast<PropertyPlace>(type);
}

/// One property: numbers of any width in `number`, strings and binary data in `bytes`. A user
/// property is only checked and passed over.
struct Property {
  std::uint8_t identifier = 0;
  std::uint32_t number = 0;
  Bytes bytes;

  std::string_view text() const noexcept { return as_text(bytes); }
};

/// Reads one property after the other and checks identifier, place, repetition, type and range.
class PropertyWalk {
 public:
  /// Reads the Property Length from `reader`.
  PropertyWalk(WireReader& reader, PropertyPlace place) noexcept;

  /// The next property that is not a user property; false at the end or after a failure, which
  /// is then the reader's failure too.
  bool next(Property& property) noexcept;

  /// Once next() has answered false.
  UserProperties user_properties() const noexcept {
    return user_property_count_ == 0 ? UserProperties{}
                                     : UserProperties{section_, user_property_count_};
  }

 private:
  bool may_stand_here(std::uint8_t identifier) noexcept;
  void pass_user_property() noexcept;

  WireReader& reader_;
  Bytes section_;
  WireReader walk_;
  PropertyPlace place_;
  std::uint16_t user_property_count_ = 0;
  std::uint64_t seen_ = 0;  // a bit per identifier; all are below 64
};

template <typename Sink>
void put_user_properties(Sink& sink, const UserProperties& properties) {
  properties.for_each([&sink](const UserProperty& each) {
    sink.byte(property::user_property);
    sink.text(each.name);
    sink.text(each.value);
  });
}

/// One `put` per type: nothing is put for what is not set.
template <typename Sink>
void put_text(Sink& sink, std::uint8_t identifier, std::optional<std::string_view> value) {
  if (value) {
    sink.byte(identifier);
    sink.text(*value);
  }
}

template <typename Sink>
void put_binary(Sink& sink, std::uint8_t identifier, std::optional<Bytes> value) {
  if (value) {
    sink.byte(identifier);
    sink.binary(*value);
  }
}

template <typename Sink>
void put_byte(Sink& sink, std::uint8_t identifier, std::optional<std::uint8_t> value) {
  if (value) {
    sink.byte(identifier);
    sink.byte(*value);
  }
}

template <typename Sink>
void put_two_bytes(Sink& sink, std::uint8_t identifier, std::optional<std::uint16_t> value) {
  if (value) {
    sink.byte(identifier);
    sink.two_bytes(*value);
  }
}

template <typename Sink>
void put_four_bytes(Sink& sink, std::uint8_t identifier, std::optional<std::uint32_t> value) {
  if (value) {
    sink.byte(identifier);
    sink.four_bytes(*value);
  }
}

/// Puts the properties that a message carries from publisher to subscriber. The expiry is given
/// apart, because it shrinks on the way.
template <typename Sink>
void put_message_properties(Sink& sink, const MessageProperties& properties,
                            std::optional<std::uint32_t> message_expiry_interval) {
  put_byte(sink, property::payload_format_indicator, properties.payload_format_indicator);
  put_four_bytes(sink, property::message_expiry_interval, message_expiry_interval);
  put_text(sink, property::content_type, properties.content_type);
  put_text(sink, property::response_topic, properties.response_topic);
  put_binary(sink, property::correlation_data, properties.correlation_data);
  put_user_properties(sink, properties.user_properties);
}

}  // namespace skerry::mqtt
