// The fifteen control packets of MQTT, one set of types for 3.1, 3.1.1 and 5.0: what a version does
// not have is simply absent, and only the codec knows the differences on the wire.
// Packets made by decode() hold views into the frame they came from and die with it; whoever keeps
// one copies what it keeps.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/strong_id.hpp"
#include "mqtt/reason.hpp"

namespace skerry::mqtt {

enum class Version : std::uint8_t { v3_1 = 3, v3_1_1 = 4, v5 = 5 };

enum class Qos : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

/// 1 … 65,535; 0 stands for "none".
using PacketId = StrongId<struct PacketIdTag, std::uint16_t>;

enum class PacketType : std::uint8_t {
  connect = 1,
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

struct UserProperty {
  std::string_view name;
  std::string_view value;
};

/// The user properties of one packet, in the order they came. Either shows a validated property
/// section (`section`: other properties in between are skipped while walking) or is empty.
class UserProperties {
 public:
  UserProperties() = default;
  /// `section`: a property section without its length, already validated; `count` of the user
  /// properties in it. Nothing is copied.
  UserProperties(Bytes section, std::uint16_t count) : section_(section), count_(count) {}

  std::size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }

  /// Calls visit(UserProperty) for each, in order. O(bytes of the section).
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    Bytes rest = section_;
    UserProperty property;
    for (std::size_t i = 0; i < count_ && next(rest, property); ++i) {
      visit(property);
    }
  }

  /// Appends all of them in wire form (identifier 0x26, name, value). O(bytes of the section).
  void append_encoded(std::string& out) const;

 private:
  static bool next(Bytes& rest, UserProperty& property) noexcept;

  Bytes section_{};
  std::uint16_t count_ = 0;
};

/// The properties that travel with a message from publisher to subscriber unaltered.
struct MessageProperties {
  std::optional<std::uint8_t> payload_format_indicator;  ///< 0 or 1
  std::optional<std::uint32_t> message_expiry_interval;  ///< seconds
  std::optional<std::string_view> content_type;
  std::optional<std::string_view> response_topic;
  std::optional<Bytes> correlation_data;
  UserProperties user_properties;

  /// True when nothing is set: such a message costs one zero byte of properties.
  bool empty() const noexcept {
    return !payload_format_indicator && !message_expiry_interval && !content_type &&
           !response_topic && !correlation_data && user_properties.empty();
  }
};

struct Will {
  std::string_view topic;
  Bytes payload;
  Qos qos = Qos::at_most_once;
  bool retain = false;
  std::uint32_t delay_interval = 0;  ///< seconds
  MessageProperties properties;
};

struct Connect {
  Version version = Version::v5;
  bool clean_start = true;
  std::uint16_t keep_alive = 0;  ///< seconds, 0: none
  std::string_view client_id;
  std::optional<Will> will;
  std::optional<std::string_view> user_name;
  std::optional<Bytes> password;
  std::uint32_t session_expiry_interval = 0;  ///< seconds; 0xFFFFFFFF: never. See codec for 3.1.1
  std::uint16_t receive_maximum = 65'535;
  std::uint32_t maximum_packet_size = 0;  ///< 0: no limit was named
  std::uint16_t topic_alias_maximum = 0;
  bool request_response_information = false;
  bool request_problem_information = true;
  std::optional<std::string_view> authentication_method;
  std::optional<Bytes> authentication_data;
  UserProperties user_properties;
};

struct Connack {
  bool session_present = false;
  Reason reason = Reason::success;
  std::optional<std::uint32_t> session_expiry_interval;
  std::optional<std::uint16_t> receive_maximum;
  std::optional<std::uint8_t> maximum_qos;
  std::optional<bool> retain_available;
  std::optional<std::uint32_t> maximum_packet_size;
  std::optional<std::string_view> assigned_client_identifier;
  std::optional<std::uint16_t> topic_alias_maximum;
  std::optional<std::string_view> reason_string;
  std::optional<bool> wildcard_subscription_available;
  std::optional<bool> subscription_identifiers_available;
  std::optional<bool> shared_subscription_available;
  std::optional<std::uint16_t> server_keep_alive;
  std::optional<std::string_view> response_information;
  std::optional<std::string_view> server_reference;
  std::optional<std::string_view> authentication_method;
  std::optional<Bytes> authentication_data;
  UserProperties user_properties;
};

struct Publish {
  std::string_view topic;  ///< empty when an alias stands for it
  Bytes payload;
  PacketId packet_id;  ///< 0 at QoS 0
  Qos qos = Qos::at_most_once;
  bool retain = false;
  bool dup = false;
  std::optional<std::uint16_t> topic_alias;  ///< as sent, 0 included: the session judges it
  MessageProperties properties;
  std::vector<std::uint32_t> subscription_identifiers;  ///< server to client only
  /// The packet on the wire, when it was decoded from one that has no alias: encode_publish() sends
  /// the same bytes on where nothing in them must change. Whoever changes topic, payload, QoS or
  /// properties empties it.
  Bytes whole{};
  bool whole_is_v5 = false;
};

/// PUBACK, PUBREC, PUBREL and PUBCOMP have one form.
template <PacketType type>
struct Acknowledgement {
  PacketId packet_id;
  Reason reason = Reason::success;
  std::optional<std::string_view> reason_string;
  UserProperties user_properties;
};
using Puback = Acknowledgement<PacketType::puback>;
using Pubrec = Acknowledgement<PacketType::pubrec>;
using Pubrel = Acknowledgement<PacketType::pubrel>;
using Pubcomp = Acknowledgement<PacketType::pubcomp>;

struct SubscriptionOptions {
  Qos maximum_qos = Qos::at_most_once;
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;  ///< 0 send, 1 send if new, 2 do not send
};

struct SubscribeFilter {
  std::string_view filter;
  SubscriptionOptions options;
};

struct Subscribe {
  PacketId packet_id;
  std::uint32_t subscription_identifier = 0;  ///< 1 … 268,435,455; 0: none
  std::vector<SubscribeFilter> filters;       ///< at least one
  UserProperties user_properties;
};

struct Suback {
  PacketId packet_id;
  std::vector<Reason> reasons;  ///< one a filter, in order; the codec maps errors to 0x80 in 3.1.1
  std::optional<std::string_view> reason_string;
  UserProperties user_properties;
};

struct Unsubscribe {
  PacketId packet_id;
  std::vector<std::string_view> filters;  ///< at least one
  UserProperties user_properties;
};

struct Unsuback {
  PacketId packet_id;
  std::vector<Reason> reasons;  ///< not on the wire in 3.1.1
  std::optional<std::string_view> reason_string;
  UserProperties user_properties;
};

struct Pingreq {};
struct Pingresp {};

struct Disconnect {
  Reason reason = Reason::success;
  std::optional<std::uint32_t> session_expiry_interval;
  std::optional<std::string_view> reason_string;
  std::optional<std::string_view> server_reference;
  UserProperties user_properties;
};

struct Auth {
  Reason reason = Reason::success;
  std::optional<std::string_view> authentication_method;
  std::optional<Bytes> authentication_data;
  std::optional<std::string_view> reason_string;
  UserProperties user_properties;
};

using Packet = std::variant<Connect, Connack, Publish, Puback, Pubrec, Pubrel, Pubcomp, Subscribe,
                            Suback, Unsubscribe, Unsuback, Pingreq, Pingresp, Disconnect, Auth>;

}  // namespace skerry::mqtt
