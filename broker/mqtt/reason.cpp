#include "mqtt/reason.hpp"

#include <array>

#include "base/assert.hpp"
#include "mqtt/reason_rules.hpp"

namespace skerry::mqtt {
namespace {

constexpr std::uint32_t in(auto... packets) {
  return ((1u << static_cast<unsigned>(packets)) | ...);
}

/// Set beside the packets of a code: only a client, or only a server, may send it in a DISCONNECT
/// (table 3-10) or an AUTH (table 3-11).
constexpr std::uint32_t client_only = 1u << 30;
constexpr std::uint32_t server_only = 1u << 31;

struct Entry {
  std::string_view name;
  std::uint32_t packets = 0;  // a bit per PacketType
};

constexpr std::size_t entry_count = 0xA3;

constexpr void add_successes(std::array<Entry, entry_count>& entries) {
  using enum PacketType;
  // Success is in DISCONNECT the normal disconnection and in SUBACK the granted QoS 0.
  entries[0x00] = {
      "success", in(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth)};
  entries[0x01] = {"granted qos 1", in(suback)};
  entries[0x02] = {"granted qos 2", in(suback)};
  entries[0x04] = {"disconnect with will message", in(disconnect) | client_only};
  entries[0x10] = {"no matching subscribers", in(puback, pubrec)};
  entries[0x11] = {"no subscription existed", in(unsuback)};
  entries[0x18] = {"continue authentication", in(auth)};
  entries[0x19] = {"re-authenticate", in(auth) | client_only};
}

constexpr void add_errors_to_0x8f(std::array<Entry, entry_count>& entries) {
  using enum PacketType;
  entries[0x80] = {"unspecified error", in(connack, puback, pubrec, suback, unsuback, disconnect)};
  entries[0x81] = {"malformed packet", in(connack, disconnect)};
  entries[0x82] = {"protocol error", in(connack, disconnect)};
  entries[0x83] = {"implementation specific error",
                   in(connack, puback, pubrec, suback, unsuback, disconnect)};
  entries[0x84] = {"unsupported protocol version", in(connack)};
  entries[0x85] = {"client identifier not valid", in(connack)};
  entries[0x86] = {"bad user name or password", in(connack)};
  entries[0x87] = {"not authorized",
                   in(connack, puback, pubrec, suback, unsuback, disconnect) | server_only};
  entries[0x88] = {"server unavailable", in(connack)};
  entries[0x89] = {"server busy", in(connack, disconnect) | server_only};
  entries[0x8A] = {"banned", in(connack)};
  entries[0x8B] = {"server shutting down", in(disconnect) | server_only};
  entries[0x8C] = {"bad authentication method", in(connack, disconnect)};
  entries[0x8D] = {"keep alive timeout", in(disconnect) | server_only};
  entries[0x8E] = {"session taken over", in(disconnect) | server_only};
  entries[0x8F] = {"topic filter invalid", in(suback, unsuback, disconnect) | server_only};
}

constexpr void add_errors_from_0x90(std::array<Entry, entry_count>& entries) {
  using enum PacketType;
  entries[0x90] = {"topic name invalid", in(connack, puback, pubrec, disconnect)};
  entries[0x91] = {"packet identifier in use", in(puback, pubrec, suback, unsuback)};
  entries[0x92] = {"packet identifier not found", in(pubrel, pubcomp)};
  entries[0x93] = {"receive maximum exceeded", in(disconnect)};
  entries[0x94] = {"topic alias invalid", in(disconnect)};
  entries[0x95] = {"packet too large", in(connack, disconnect)};
  entries[0x96] = {"message rate too high", in(disconnect)};
  entries[0x97] = {"quota exceeded", in(connack, puback, pubrec, suback, disconnect)};
  entries[0x98] = {"administrative action", in(disconnect)};
  entries[0x99] = {"payload format invalid", in(connack, puback, pubrec, disconnect)};
  entries[0x9A] = {"retain not supported", in(connack, disconnect) | server_only};
  entries[0x9B] = {"qos not supported", in(connack, disconnect) | server_only};
  entries[0x9C] = {"use another server", in(connack, disconnect) | server_only};
  entries[0x9D] = {"server moved", in(connack, disconnect) | server_only};
  entries[0x9E] = {"shared subscriptions not supported", in(suback, disconnect) | server_only};
  entries[0x9F] = {"connection rate exceeded", in(connack, disconnect) | server_only};
  entries[0xA0] = {"maximum connect time", in(disconnect) | server_only};
  entries[0xA1] = {"subscription identifiers not supported", in(suback, disconnect) | server_only};
  entries[0xA2] = {"wildcard subscriptions not supported", in(suback, disconnect) | server_only};
}

/// Table 2-6. DISCONNECT with 0x8C is in that table though not in table 3-10.
constexpr std::array<Entry, entry_count> make_entries() {
  std::array<Entry, entry_count> entries{};
  add_successes(entries);
  add_errors_to_0x8f(entries);
  add_errors_from_0x90(entries);
  return entries;
}

constexpr std::array<Entry, entry_count> entries = make_entries();

}  // namespace

std::string_view name_of(Reason reason) noexcept {
  const auto code = static_cast<std::uint8_t>(reason);
  return code < entry_count && entries[code].packets != 0 ? entries[code].name : "unknown";
}

bool reason_may_stand_in(PacketType type, std::uint8_t code, bool sent_by_client) noexcept {
  if (code >= entry_count || (entries[code].packets >> static_cast<unsigned>(type) & 1u) == 0) {
    return false;
  }
  if (type == PacketType::auth && code == 0) {  // table 3-11: only a server can say so
    return !sent_by_client;
  }
  if (type == PacketType::disconnect || type == PacketType::auth) {
    return (entries[code].packets & (sent_by_client ? server_only : client_only)) == 0;
  }
  return true;
}

Reason reason_of_return_code(std::uint8_t code) noexcept {
  constexpr std::array<Reason, 6> reasons{
      Reason::success,
      Reason::unsupported_protocol_version,
      Reason::client_identifier_not_valid,
      Reason::server_unavailable,
      Reason::bad_user_name_or_password,
      Reason::not_authorized,
  };
  SKERRY_ASSERT(code < reasons.size());
  return reasons[code];
}

std::uint8_t connack_return_code(Reason reason) noexcept {
  if (!is_error(reason)) {
    return 0;
  }
  switch (static_cast<std::uint8_t>(reason)) {
    case 0x84:
      return 1;
    case 0x85:
      return 2;
    case 0x80:  // what may pass by itself, or is the server's doing: try again later
    case 0x83:
    case 0x88:
    case 0x89:
    case 0x8B:
    case 0x97:
    case 0x9C:
    case 0x9D:
    case 0x9F:
      return 3;
    case 0x86:
      return 4;
    default:  // banned, will not allowed and the like: trying again does not help
      return 5;
  }
}

void throw_exception_from_error(const Violation& violation, const boost::source_location& where) {
  assertion_failed(violation.what, where.file_name(), static_cast<int>(where.line()));
}

}  // namespace skerry::mqtt
