#include "mqtt/properties.hpp"

#include <array>

#include "base/limits.hpp"
#include "mqtt/wire_writer.hpp"

namespace skerry::mqtt {
namespace {

enum class Kind : std::uint8_t {
  none,         // no such identifier
  zero_or_one,  // every Byte property allows only these
  two_bytes,
  two_bytes_not_0,
  four_bytes,
  four_bytes_not_0,
  variable_not_0,
  text,
  binary,
  text_pair,
};

struct Rule {
  Kind kind = Kind::none;
  std::uint16_t places = 0;  // a bit per PropertyPlace
};

constexpr std::uint16_t in(auto... places) {
  return static_cast<std::uint16_t>(((1u << static_cast<unsigned>(places)) | ...));
}

constexpr std::size_t rule_count = 0x2B;

/// Table 2-4.
constexpr std::array<Rule, rule_count> make_rules() {
  using enum PropertyPlace;
  std::array<Rule, rule_count> rules{};
  rules[property::payload_format_indicator] = {Kind::zero_or_one, in(publish, will)};
  rules[property::message_expiry_interval] = {Kind::four_bytes, in(publish, will)};
  rules[property::content_type] = {Kind::text, in(publish, will)};
  rules[property::response_topic] = {Kind::text, in(publish, will)};
  rules[property::correlation_data] = {Kind::binary, in(publish, will)};
  rules[property::subscription_identifier] = {Kind::variable_not_0, in(publish, subscribe)};
  rules[property::session_expiry_interval] = {Kind::four_bytes, in(connect, connack, disconnect)};
  rules[property::assigned_client_identifier] = {Kind::text, in(connack)};
  rules[property::server_keep_alive] = {Kind::two_bytes, in(connack)};
  rules[property::authentication_method] = {Kind::text, in(connect, connack, auth)};
  rules[property::authentication_data] = {Kind::binary, in(connect, connack, auth)};
  rules[property::request_problem_information] = {Kind::zero_or_one, in(connect)};
  rules[property::will_delay_interval] = {Kind::four_bytes, in(will)};
  rules[property::request_response_information] = {Kind::zero_or_one, in(connect)};
  rules[property::response_information] = {Kind::text, in(connack)};
  rules[property::server_reference] = {Kind::text, in(connack, disconnect)};
  rules[property::reason_string] = {
      Kind::text, in(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth)};
  rules[property::receive_maximum] = {Kind::two_bytes_not_0, in(connect, connack)};
  rules[property::topic_alias_maximum] = {Kind::two_bytes, in(connect, connack)};
  rules[property::topic_alias] = {Kind::two_bytes, in(publish)};
  rules[property::maximum_qos] = {Kind::zero_or_one, in(connack)};
  rules[property::retain_available] = {Kind::zero_or_one, in(connack)};
  rules[property::user_property] = {
      Kind::text_pair, in(will, connect, connack, publish, puback, pubrec, pubrel, pubcomp,
                          subscribe, suback, unsubscribe, unsuback, disconnect, auth)};
  rules[property::maximum_packet_size] = {Kind::four_bytes_not_0, in(connect, connack)};
  rules[property::wildcard_subscription_available] = {Kind::zero_or_one, in(connack)};
  rules[property::subscription_identifier_available] = {Kind::zero_or_one, in(connack)};
  rules[property::shared_subscription_available] = {Kind::zero_or_one, in(connack)};
  return rules;
}

constexpr std::array<Rule, rule_count> rules = make_rules();

constexpr Kind kind_of(std::uint8_t identifier) noexcept {
  return identifier < rule_count ? rules[identifier].kind : Kind::none;
}

const char* zero_is_forbidden(std::uint8_t identifier) noexcept {
  switch (identifier) {
    case property::receive_maximum:
      return "Receive Maximum must not be 0; leave it out for 65,535.";
    case property::maximum_packet_size:
      return "Maximum Packet Size must not be 0; leave it out for no limit.";
    default:
      return "Subscription Identifier must not be 0.";
  }
}

std::uint32_t checked_number(WireReader& walk, std::uint8_t identifier,
                             std::uint32_t number) noexcept {
  if (number == 0) {
    walk.fail(Reason::protocol_error, zero_is_forbidden(identifier));
  }
  return number;
}

/// Reads the value of a property whose kind is known. Text pairs are the caller's.
void read_value(WireReader& walk, Property& property) noexcept {
  switch (kind_of(property.identifier)) {
    case Kind::zero_or_one:
      property.number = walk.byte();
      if (property.number > 1) {
        walk.fail(Reason::protocol_error, "A property that must be 0 or 1 has another value.");
      }
      return;
    case Kind::two_bytes:
      property.number = walk.two_bytes();
      return;
    case Kind::two_bytes_not_0:
      property.number = walk.two_bytes();
      checked_number(walk, property.identifier, property.number);
      return;
    case Kind::four_bytes:
      property.number = walk.four_bytes();
      return;
    case Kind::four_bytes_not_0:
      property.number = walk.four_bytes();
      checked_number(walk, property.identifier, property.number);
      return;
    case Kind::variable_not_0:
      property.number = walk.variable_byte_integer();
      checked_number(walk, property.identifier, property.number);
      return;
    case Kind::text:
      property.bytes = as_bytes(walk.text());
      return;
    case Kind::binary:
      property.bytes = walk.binary();
      return;
    case Kind::none:
    case Kind::text_pair:
      return;
  }
}

}  // namespace

PropertyWalk::PropertyWalk(WireReader& reader, PropertyPlace place) noexcept
    : reader_(reader),
      section_(reader.take(reader.variable_byte_integer())),
      walk_(section_),
      place_(place) {}

bool PropertyWalk::may_stand_here(std::uint8_t identifier) noexcept {
  // Section 2.2.2.2: an identifier that is not valid for the packet makes it malformed. All
  // identifiers fit into one byte, so a longer variable byte integer is an unknown one.
  if (kind_of(identifier) == Kind::none) {
    walk_.fail(Reason::malformed_packet, "There is no property with this identifier.");
    return false;
  }
  if ((rules[identifier].places >> static_cast<unsigned>(place_) & 1u) == 0) {
    walk_.fail(Reason::malformed_packet, "A property stands in a packet that cannot have it.");
    return false;
  }
  const std::uint64_t bit = std::uint64_t{1} << identifier;
  const bool may_repeat =
      identifier == property::user_property ||
      (identifier == property::subscription_identifier && place_ == PropertyPlace::publish);
  if ((seen_ & bit) != 0 && !may_repeat) {
    walk_.fail(Reason::protocol_error, "A property that may stand only once stands twice.");
    return false;
  }
  seen_ |= bit;
  return true;
}

void PropertyWalk::pass_user_property() noexcept {
  walk_.text();  // [MQTT-1.5.7-1]
  walk_.text();
  if (++user_property_count_ > user_properties_max) {
    walk_.fail(Reason::quota_exceeded, "The packet has more than 256 user properties.");
  }
}

bool PropertyWalk::next(Property& property) noexcept {
  while (walk_.left() > 0) {
    property = {.identifier = walk_.byte(), .number = 0, .bytes = {}};
    if (!may_stand_here(property.identifier)) {
      break;
    }
    if (property.identifier == property::user_property) {
      pass_user_property();
      continue;
    }
    read_value(walk_, property);
    if (!walk_.ok()) {
      break;
    }
    return true;
  }
  if (!walk_.ok()) {
    reader_.fail(walk_.violation().reason, walk_.violation().what);
  }
  return false;
}

bool UserProperties::next(Bytes& rest, UserProperty& property) noexcept {
  WireReader walk(rest);
  while (walk.left() > 0) {
    const std::uint8_t identifier = walk.byte();
    switch (kind_of(identifier)) {
      case Kind::text_pair:
        property.name = as_text(walk.binary());
        property.value = as_text(walk.binary());
        rest = walk.rest();
        return walk.ok();
      case Kind::zero_or_one:
        walk.take(1);
        break;
      case Kind::two_bytes:
      case Kind::two_bytes_not_0:
        walk.take(2);
        break;
      case Kind::four_bytes:
      case Kind::four_bytes_not_0:
        walk.take(4);
        break;
      case Kind::variable_not_0:
        walk.variable_byte_integer();
        break;
      case Kind::text:
      case Kind::binary:
        walk.binary();
        break;
      case Kind::none:
        return false;
    }
  }
  return false;
}

void UserProperties::append_encoded(std::string& out) const {
  SizeSink measure;
  put_user_properties(measure, *this);
  const std::size_t start = out.size();
  out.resize(start + measure.size());
  WriteSink sink(out.data() + start);
  put_user_properties(sink, *this);
}

}  // namespace skerry::mqtt
