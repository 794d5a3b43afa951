#include "wire.hpp"

#include <doctest/doctest.h>

#include "failure.hpp"

using namespace skerry::bench;
using namespace std::string_literals;

TEST_CASE("a packet cut at every byte is not there yet") {
  PublishHead head = publish_head("a/b", 1, true, 300, 5);
  const std::string whole = head.bytes + std::string(300, 'p');
  Packet packet;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(read_packet(std::string_view(whole).substr(0, size), 5, packet) == 0);
  }
  const std::string longer = whole + "more";
  REQUIRE(read_packet(longer, 5, packet) == whole.size());
  CHECK(packet.kind == Kind::publish);
  CHECK(packet.qos == 1);
  CHECK(packet.retain);
  CHECK(packet.topic == "a/b");
  CHECK(packet.payload == std::string(300, 'p'));
}

TEST_CASE("Receive Maximum is found behind other properties of a CONNACK") {
  const std::string properties =
      "\x11\0\0\0\x05"s + "\x12\0\x03"s + "abc" + "\x26\0\1k\0\1v"s + "\x24\1"s + "\x21\0\x0A"s;
  std::string body = "\1\0"s;
  body.push_back(static_cast<char>(properties.size()));
  body += properties;
  std::string bytes = "\x20"s;
  bytes.push_back(static_cast<char>(body.size()));
  bytes += body;
  Packet packet;
  REQUIRE(read_packet(bytes, 5, packet) == bytes.size());
  CHECK(packet.session_present);
  CHECK(packet.reason == 0);
  CHECK(packet.receive_maximum == 10);
}

TEST_CASE("of several reasons in a SUBACK the worst counts") {
  Packet packet;
  REQUIRE(read_packet("\x90\x06\0\x07\0\x01\x87\x02"s, 5, packet) == 8);
  CHECK(packet.packet_id == 7);
  CHECK(packet.reason == 0x87);
}

TEST_CASE("bytes of a broker that make no packet end the run") {
  Packet packet;
  CHECK_THROWS_AS(read_packet("\x30\xFF\xFF\xFF\xFF\x01"s, 5, packet), Failure);
  CHECK_THROWS_AS(read_packet("\x30\x01x"s, 5, packet), Failure);
  CHECK_THROWS_AS(read_packet("\x30\x04\0\1a\x7F"s, 5, packet), Failure);
  CHECK_THROWS_AS(read_packet("\x40\x00"s, 5, packet), Failure);
  CHECK_THROWS_AS(read_packet("\x10\x00"s, 5, packet), Failure);
}

TEST_CASE("CONNECT of 3.1.1 asks for a session that stays by its clean session flag") {
  std::string out;
  append_connect(out, {.client_id = "c", .version = 4, .session_expiry = 60});
  CHECK(out == "\x10\x0D\0\4MQTT\4\0\0\0\0\1c"s);
  out.clear();
  append_connect(out, {.client_id = "c", .version = 5, .session_expiry = 60, .user_name = "u"});
  CHECK(out == "\x10\x16\0\4MQTT\5\x82\0\0\5\x11\0\0\0\x3C\0\1c\0\1u"s);
}
