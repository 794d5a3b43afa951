// What encode() leaves out for each version, and the fast ways out: encode_publish and encode_ack.
#include <doctest/doctest.h>

#include "base/limits.hpp"
#include "unit/mqtt/vectors.hpp"

namespace skerry::mqtt::testing {
namespace {

std::string encoded(const Packet& packet, Version version) {
  std::string out = "kept";
  encode(packet, version, out);
  CHECK(out.substr(0, 4) == "kept");
  return out.substr(4);
}

std::string published(const Publish& message, const PublishHeader& header, Version version) {
  std::string out = "kept";
  encode_publish(message, header, version, out);
  CHECK(out.size() - 4 == encoded_publish_size(message, header, version));
  return out.substr(4);
}

TEST_CASE("AUTH and a DISCONNECT with a reason are not sent before 5.0") {
  Disconnect disconnect;
  disconnect.reason = Reason::session_taken_over;
  for (const Version version : {v31, v311}) {
    CHECK(encoded(Auth{}, version).empty());
    CHECK(encoded(disconnect, version).empty());
    CHECK(encoded(Disconnect{}, version) == bytes_of("E0"));
  }
}

TEST_CASE("SUBACK 3.1.1 says 0x80 for every failure") {
  Suback suback;
  suback.packet_id = PacketId{10};
  suback.reasons = {Reason::success, Reason::granted_qos_2, Reason::not_authorized,
                    Reason::topic_filter_invalid};
  suback.reason_string = "left out";
  CHECK(encoded(suback, v311) == bytes_of("90 000A 00 02 80 80"));
  CHECK(encoded(suback, v5) == bytes_of(R"(90 000A { 1F "left out" } 00 02 87 8F)"));
}

TEST_CASE("CONNACK before 5.0 has a return code and no properties") {
  Connack connack;
  connack.reason = Reason::bad_user_name_or_password;
  connack.receive_maximum = 10;
  CHECK(encoded(connack, v311) == bytes_of("20 00 04"));
  connack.reason = Reason::success;
  connack.session_present = true;
  CHECK(encoded(connack, v311) == bytes_of("20 01 00"));
  CHECK(encoded(connack, v31) == bytes_of("20 00 00"));
}

TEST_CASE("a CONNACK that refuses never says that a session is present [MQTT-3.2.2-6]") {
  Connack connack;
  connack.session_present = true;
  connack.reason = Reason::not_authorized;
  CHECK(encoded(connack, v5) == bytes_of("20 00 87 {}"));
}

TEST_CASE("acknowledgements carry a reason only when it is not success, and only in 5.0") {
  const auto ack = [](PacketType type, Reason reason, Version version) {
    std::string out;
    encode_ack(type, PacketId{0xABCD}, reason, version, out);
    return out;
  };
  CHECK(ack(PacketType::puback, Reason::success, v5) == bytes_of("40 ABCD"));
  CHECK(ack(PacketType::puback, Reason::no_matching_subscribers, v5) == bytes_of("40 ABCD 10"));
  CHECK(ack(PacketType::pubrec, Reason::quota_exceeded, v5) == bytes_of("50 ABCD 97"));
  CHECK(ack(PacketType::pubrel, Reason::success, v5) == bytes_of("62 ABCD"));
  CHECK(ack(PacketType::pubrel, Reason::packet_identifier_not_found, v5) == bytes_of("62 ABCD 92"));
  CHECK(ack(PacketType::pubcomp, Reason::success, v311) == bytes_of("70 ABCD"));
  CHECK(ack(PacketType::pubcomp, Reason::packet_identifier_not_found, v311) == bytes_of("70 ABCD"));
}

TEST_CASE("encode_publish takes header, alias and expiry from the recipient's header") {
  Publish message;
  message.topic = "a/b";
  message.payload = as_bytes("payload");
  message.packet_id = PacketId{99};
  message.qos = Qos::exactly_once;
  message.retain = true;
  message.topic_alias = 5;
  message.properties.message_expiry_interval = 1000;
  message.properties.content_type = "t";
  PublishHeader header;
  CHECK(published(message, header, v5) == bytes_of(R"(30 "a/b" { 03 "t" } 'payload')"));
  CHECK(published(message, header, v311) == bytes_of(R"(30 "a/b" 'payload')"));
  const std::uint32_t identifiers[] = {1, 200};
  header = {.packet_id = PacketId{7},
            .qos = Qos::at_least_once,
            .retain = true,
            .dup = true,
            .topic_alias = 3,
            .topic_empty = true,
            .message_expiry_interval = 60,
            .subscription_identifiers = identifiers};
  CHECK(published(message, header, v5) ==
        bytes_of(R"(3B "" 0007 { 02 0000003C 03 "t" 23 0003 0B 01 0B C801 } 'payload')"));
}

/// What encode_publish makes of a received packet: sent on, and made anew from its parts.
void check_sent_on(const std::string& bytes, const PublishHeader& header, Version came,
                   Version goes) {
  const OwnedFrame frame(bytes);
  auto publish = decode_publish(*frame, came, client);
  REQUIRE(publish.has_value());
  const std::string sent_on = published(*publish, header, goes);
  publish->whole = {};
  CHECK(sent_on == published(*publish, header, goes));
}

TEST_CASE("a PUBLISH goes on as it came, but for what its recipient's header changes") {
  const std::string five = bytes_of(R"(3B "a/b" 0102 { 01 01 02 0000003C 03 "t" } 'payload')");
  const std::string three = bytes_of(R"(3B "a/b" 0102 'payload')");
  const std::uint32_t identifiers[] = {7};
  const PublishHeader same{
      .packet_id = PacketId{0xABCD}, .qos = Qos::at_least_once, .message_expiry_interval = 60};
  CHECK(published(*decode_publish(*OwnedFrame(five), v5, client), same, v5) ==
        bytes_of(R"(32 "a/b" ABCD { 01 01 02 0000003C 03 "t" } 'payload')"));
  std::vector<PublishHeader> headers(7, same);
  headers[1].retain = true;
  headers[2].qos = Qos::at_most_once;
  headers[3].message_expiry_interval = 59;
  headers[4].message_expiry_interval.reset();
  headers[5].subscription_identifiers = identifiers;
  headers[6].topic_alias = 3;
  headers[6].topic_empty = true;
  for (const PublishHeader& header : headers) {
    check_sent_on(five, header, v5, v5);
    check_sent_on(five, header, v5, v311);
    check_sent_on(three, header, v311, v5);
    check_sent_on(three, header, v31, v311);
  }
}

TEST_CASE("a PUBLISH with an alias is made anew") {
  const std::string bytes = bytes_of(R"(30 "a" { 23 0005 } 'x')");
  const OwnedFrame frame(bytes);
  const auto publish = decode_publish(*frame, v5, client);
  REQUIRE(publish.has_value());
  CHECK(publish->whole.empty());
  CHECK(published(*publish, {}, v5) == bytes_of(R"(30 "a" {} 'x')"));
}

TEST_CASE("a topic that is known is not checked again, and any other is") {
  const auto decoded = [](const char* notation, std::string_view known) {
    const std::string bytes = bytes_of(notation);
    return decode_publish(*OwnedFrame(bytes), v311, client, known).has_value();
  };
  CHECK(decoded(R"(30 "a/b" 'x')", "a/b"));
  CHECK(decoded(R"(30 "a/b" 'x')", "a/c"));
  CHECK_FALSE(decoded(R"(30 "a/+" 'x')", "a/b"));
  CHECK_FALSE(decoded(R"(30 "a/+" 'x')", ""));
  CHECK_FALSE(decoded(R"(30 "" 'x')", ""));
}

TEST_CASE("DUP is never sent at QoS 0 [MQTT-3.3.1-2]") {
  Publish message;
  message.topic = "a";
  PublishHeader header;
  header.dup = true;
  CHECK(published(message, header, v5) == bytes_of(R"(30 "a" {})"));
}

TEST_CASE("Remaining Length takes as many bytes as it needs at every boundary") {
  Publish message;
  message.topic = "a";
  for (const std::size_t size : {0u, 124u, 125u, 16'380u, 16'381u, 2'097'148u, 2'097'149u}) {
    const std::string payload(size, 'x');
    message.payload = as_bytes(payload);
    const std::string bytes = published(message, {}, v311);
    FrameDecoder decoder(remaining_length_max);
    decoder.feed(as_bytes(bytes));
    const auto frame = decoder.next();
    REQUIRE(frame.has_value());
    REQUIRE(frame->has_value());
    CHECK((*frame)->whole.size() == bytes.size());
    const auto publish = decode_publish(**frame, v311, server);
    REQUIRE(publish.has_value());
    CHECK(publish->payload.size() == size);
  }
}

TEST_CASE("property sections of more than 127 bytes have a longer length") {
  const std::string words(200, 'w');
  Connack connack;
  connack.reason_string = words;
  const std::string bytes = encoded(connack, v5);
  const OwnedFrame frame(bytes);
  const auto packet = decode(*frame, v5, server);
  REQUIRE(packet.has_value());
  CHECK(std::get<Connack>(*packet).reason_string == words);
}

}  // namespace
}  // namespace skerry::mqtt::testing
