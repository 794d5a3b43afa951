// Every vector through decode() and encode(), cut, flagged, and with its lengths lied about.
#include <doctest/doctest.h>

#include "unit/mqtt/vectors.hpp"

namespace skerry::mqtt::testing {
namespace {

PacketType type_of(std::string_view packet) {
  return static_cast<PacketType>(static_cast<std::uint8_t>(packet[0]) >> 4);
}

std::string encoded(const Packet& packet, Version version) {
  std::string out;
  encode(packet, version, out);
  return out;
}

/// Decodes hostile bytes; what is accepted must survive encode and decode unchanged.
bool accepted_and_stable(const OwnedFrame& frame, Version version, Sender sender) {
  const auto first = decode(*frame, version, sender);
  if (!first) {
    CHECK(std::string_view(first.error().what).size() > 10);
    return false;
  }
  const auto* connect = std::get_if<Connect>(&*first);
  const Version spoken = connect != nullptr ? connect->version : version;
  const std::string bytes = encoded(*first, spoken);
  const OwnedFrame again(bytes);
  const auto second = decode(*again, spoken, sender);
  REQUIRE(second.has_value());
  CHECK(encoded(*second, spoken) == bytes);
  return true;
}

TEST_CASE("every vector is accepted and encodes to a form that decodes to the same") {
  for (const Vector& vector : vectors()) {
    CAPTURE(vector.name);
    const std::string bytes = bytes_of(vector.notation);
    const OwnedFrame frame(bytes);
    const auto packet = decode(*frame, vector.version, vector.sender);
    if (!packet) {
      FAIL_CHECK(packet.error().what);
      continue;
    }
    CHECK(packet->index() + 1 == static_cast<std::size_t>(type_of(bytes)));
    if (vector.canonical) {
      CHECK(encoded(*packet, vector.version) == bytes);
    }
    CHECK(accepted_and_stable(frame, vector.version, vector.sender));
  }
}

TEST_CASE("every bad vector is refused with the reason that the specification names") {
  for (const BadVector& vector : bad_vectors()) {
    CAPTURE(vector.name);
    const OwnedFrame frame(bytes_of(vector.notation));
    const auto packet = decode(*frame, vector.version, vector.sender);
    REQUIRE(packet.has_error());
    CAPTURE(packet.error().what);
    CHECK(name_of(packet.error().reason) == name_of(vector.reason));
  }
}

TEST_CASE("a body cut at any byte is refused unless what is left is a whole packet") {
  for (const Vector& vector : vectors()) {
    CAPTURE(vector.name);
    const std::string bytes = bytes_of(vector.notation);
    const OwnedFrame whole(bytes);
    const std::string_view body = as_text(whole->body);
    const PacketType type = type_of(bytes);
    const bool fixed_form = type == PacketType::connect || type == PacketType::connack;
    for (std::size_t size = 0; size < body.size(); ++size) {
      CAPTURE(size);
      const OwnedFrame cut(whole->first_byte, body.substr(0, size));
      const bool accepted = accepted_and_stable(cut, vector.version, vector.sender);
      if (fixed_form && vector.version != Version::v3_1) {
        CHECK(!accepted);
      }
    }
  }
}

TEST_CASE("a PUBLISH is refused when it is cut before its payload") {
  for (const Vector& vector : vectors()) {
    const std::string bytes = bytes_of(vector.notation);
    if (type_of(bytes) != PacketType::publish) {
      continue;
    }
    CAPTURE(vector.name);
    const OwnedFrame whole(bytes);
    const auto publish = decode_publish(*whole, vector.version, vector.sender);
    REQUIRE(publish.has_value());
    const std::size_t before_payload = whole->body.size() - publish->payload.size();
    for (std::size_t size = 0; size < before_payload; ++size) {
      const OwnedFrame cut(whole->first_byte, as_text(whole->body).substr(0, size));
      CHECK(decode_publish(*cut, vector.version, vector.sender).has_error());
    }
  }
}

TEST_CASE("a length that reaches beyond the packet is refused wherever it stands") {
  for (const Vector& vector : vectors()) {
    CAPTURE(vector.name);
    const Wire wire = wire_of(vector.notation);
    for (const LengthPrefix& length : wire.lengths) {
      if (length.offset == 1) {
        continue;  // Remaining Length is the frame decoder's
      }
      std::string lie = wire.bytes;
      lie[length.offset] = static_cast<char>(length.size == 2 ? 0xFF : 0x7F);
      if (length.size == 1 && lie.size() - length.offset > 0x7F) {
        continue;
      }
      const OwnedFrame frame(lie);
      CHECK(decode(*frame, vector.version, vector.sender).has_error());
    }
  }
}

TEST_CASE("a byte changed anywhere never leads to an unstable packet") {
  for (const Vector& vector : vectors()) {
    CAPTURE(vector.name);
    const OwnedFrame whole(bytes_of(vector.notation));
    const std::string body(as_text(whole->body));
    for (std::size_t at = 0; at < body.size(); ++at) {
      for (const int change : {1, -1, 0x20, 0x80}) {
        std::string lie = body;
        lie[at] = static_cast<char>(lie[at] + change);
        const OwnedFrame frame(whole->first_byte, lie);
        accepted_and_stable(frame, vector.version, vector.sender);
      }
    }
  }
}

TEST_CASE("bytes after the end of a packet without payload are refused") {
  for (const Vector& vector : vectors()) {
    const std::string bytes = bytes_of(vector.notation);
    const PacketType type = type_of(bytes);
    const bool is_list = type == PacketType::suback || type == PacketType::unsuback;
    const bool is_short = bytes.size() < 6;  // an optional reason code could follow
    if (type == PacketType::publish || is_list || (is_short && vector.version == Version::v5)) {
      continue;
    }
    CAPTURE(vector.name);
    const OwnedFrame whole(bytes);
    const OwnedFrame longer(whole->first_byte, std::string(as_text(whole->body)) + '\0');
    if (vector.version != Version::v3_1) {
      CHECK(decode(*longer, vector.version, vector.sender).has_error());
    }
  }
}

TEST_CASE("flags that a packet does not have are refused [MQTT-2.1.3-1]") {
  for (const Vector& vector : vectors()) {
    const std::string bytes = bytes_of(vector.notation);
    if (type_of(bytes) == PacketType::publish || vector.version == Version::v3_1) {
      continue;
    }
    CAPTURE(vector.name);
    for (int flags = 0; flags < 16; ++flags) {
      std::string flagged = bytes;
      flagged[0] = static_cast<char>((bytes[0] & 0xF0) | flags);
      const OwnedFrame frame(flagged);
      const auto packet = decode(*frame, vector.version, vector.sender);
      CHECK(packet.has_value() == (flagged == bytes));
      if (!packet) {
        CHECK(packet.error().reason == Reason::malformed_packet);
      }
    }
  }
}

TEST_CASE("a packet that the other side sends is refused") {
  for (const Vector& vector : vectors()) {
    const std::string bytes = bytes_of(vector.notation);
    const PacketType type = type_of(bytes);
    const bool one_way = type == PacketType::connect || type == PacketType::connack ||
                         type == PacketType::subscribe || type == PacketType::suback ||
                         type == PacketType::unsubscribe || type == PacketType::unsuback ||
                         type == PacketType::pingreq || type == PacketType::pingresp;
    if (one_way) {
      CAPTURE(vector.name);
      const OwnedFrame frame(bytes);
      const Sender other = vector.sender == client ? server : client;
      const auto packet = decode(*frame, vector.version, other);
      REQUIRE(packet.has_error());
      CHECK(packet.error().reason == Reason::protocol_error);
    }
  }
}

TEST_CASE("the reserved bits of the connect flags, connack flags and options are refused") {
  for (int bit = 0; bit < 8; ++bit) {
    CAPTURE(bit);
    const auto flags = static_cast<char>(1 << bit);
    std::string connack = bytes_of("20 00 00 {}");
    connack[2] = flags;
    CHECK(decode(*OwnedFrame(connack), v5, server).has_value() == (bit == 0));
    std::string subscribe = bytes_of(R"(82 000A {} "a" 00)");
    subscribe.back() = flags;
    CHECK(decode(*OwnedFrame(subscribe), v5, client).has_value() == (bit < 6));
    std::string subscribe3 = bytes_of(R"(82 000A "a" 00)");
    subscribe3.back() = flags;
    CHECK(decode(*OwnedFrame(subscribe3), v311, client).has_value() == (bit < 2));
  }
}

TEST_CASE("more user properties or filters than the caps are a quota exceeded") {
  Wire all = Notation("10 \"MQTT\" 05 02 003C").group();
  Wire properties;
  for (int i = 0; i < 257; ++i) {
    properties.append(Notation(R"(26 "a" "b")").group());
  }
  std::string body = all.bytes.substr(1) + behind_variable(properties).bytes;
  body += std::string("\0\1c", 3);
  const auto connect = decode(*OwnedFrame(0x10, body), v5, client);
  REQUIRE(connect.has_error());
  CHECK(connect.error().reason == Reason::quota_exceeded);

  std::string filters("\0\x0A", 2);
  for (int i = 0; i < 1024; ++i) {
    filters += std::string("\0\1a\0", 4);
  }
  CHECK(decode(*OwnedFrame(0x82, filters), v311, client).has_value());
  filters += std::string("\0\1a\0", 4);
  const auto subscribe = decode(*OwnedFrame(0x82, filters), v311, client);
  REQUIRE(subscribe.has_error());
  CHECK(subscribe.error().reason == Reason::quota_exceeded);
}

}  // namespace
}  // namespace skerry::mqtt::testing
