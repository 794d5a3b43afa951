// Table 2-4 told a second time: every property put into every packet.
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/mqtt/vectors.hpp"

namespace skerry::mqtt::testing {
namespace {

struct PropertyRow {
  const char* notation;
  std::vector<std::string_view> places;
};

const std::vector<std::string_view> everywhere{
    "connect", "will",      "connack", "publish",     "puback",   "pubrec",     "pubrel",
    "pubcomp", "subscribe", "suback",  "unsubscribe", "unsuback", "disconnect", "auth"};

const std::vector<PropertyRow> property_rows{
    {"01 01", {"publish", "will"}},
    {"02 00000001", {"publish", "will"}},
    {R"(03 "t")", {"publish", "will"}},
    {R"(08 "t")", {"publish", "will"}},
    {"09 [00]", {"publish", "will"}},
    {"0B 01", {"publish", "subscribe"}},
    {"11 00000001", {"connect", "connack", "disconnect"}},
    {R"(12 "c")", {"connack"}},
    {"13 0001", {"connack"}},
    {R"(15 "m")", {"connect", "connack", "auth"}},
    {"16 [00]", {"connect", "connack", "auth"}},
    {"17 01", {"connect"}},
    {"18 00000001", {"will"}},
    {"19 01", {"connect"}},
    {R"(1A "r")", {"connack"}},
    {R"(1C "s")", {"connack", "disconnect"}},
    {R"(1F "r")",
     {"connack", "puback", "pubrec", "pubrel", "pubcomp", "suback", "unsuback", "disconnect",
      "auth"}},
    {"21 0001", {"connect", "connack"}},
    {"22 0001", {"connect", "connack"}},
    {"23 0001", {"publish"}},
    {"24 01", {"connack"}},
    {"25 01", {"connack"}},
    {R"(26 "n" "v")", everywhere},
    {"27 00000001", {"connect", "connack"}},
    {"28 01", {"connack"}},
    {"29 01", {"connack"}},
    {"2A 01", {"connack"}},
};

struct PacketRow {
  std::string_view place;
  Sender sender;
  std::string before;  ///< notation up to the inside of the property section
  std::string after;
};

const std::vector<PacketRow> packet_rows{
    {"connect", client, R"(10 "MQTT" 05 02 003C { )", R"( } "c")"},
    {"will", client, R"(10 "MQTT" 05 06 003C {} "c" { )", R"( } "w" "")"},
    {"connack", server, "20 00 00 { ", " }"},
    {"publish", server, R"(30 "a" { )", " }"},
    {"puback", client, "40 0001 00 { ", " }"},
    {"pubrec", client, "50 0001 00 { ", " }"},
    {"pubrel", client, "62 0001 00 { ", " }"},
    {"pubcomp", client, "70 0001 00 { ", " }"},
    {"subscribe", client, "82 0001 { ", R"( } "a" 00)"},
    {"suback", server, "90 0001 { ", " } 00"},
    {"unsubscribe", client, "A2 0001 { ", R"( } "a")"},
    {"unsuback", server, "B0 0001 { ", " } 00"},
    {"disconnect", client, "E0 00 { ", " }"},
    {"auth", client, "F0 18 { ", " }"},
};

/// What the packet needs besides, so that the property alone decides.
std::string companion(const PacketRow& packet, std::string_view property) {
  const bool is_method = property.starts_with("15");
  const bool is_data = property.starts_with("16");
  const bool needs_method = packet.place == "auth" || (is_data && packet.place == "connect");
  return needs_method && !is_method ? R"(15 "m" )" : "";
}

Result<Packet, Violation> decode_with(const PacketRow& packet, const std::string& properties) {
  return decode(*OwnedFrame(bytes_of(packet.before + properties + packet.after)), v5,
                packet.sender);
}

TEST_CASE("every property is accepted where table 2-4 has it and malformed elsewhere") {
  for (const PacketRow& packet : packet_rows) {
    for (const PropertyRow& property : property_rows) {
      CAPTURE(packet.place);
      CAPTURE(property.notation);
      const bool allowed =
          std::count(property.places.begin(), property.places.end(), packet.place) > 0;
      const auto result =
          decode_with(packet, companion(packet, property.notation) + property.notation);
      CHECK(result.has_value() == allowed);
      if (!result) {
        CHECK(result.error().reason == Reason::malformed_packet);
      }
    }
  }
}

TEST_CASE("a property twice is a protocol error, but for those that may repeat") {
  for (const PacketRow& packet : packet_rows) {
    for (const PropertyRow& property : property_rows) {
      const std::string_view notation(property.notation);
      if (std::count(property.places.begin(), property.places.end(), packet.place) == 0) {
        continue;
      }
      CAPTURE(packet.place);
      CAPTURE(notation);
      const bool may_repeat =
          notation.starts_with("26") || (notation.starts_with("0B") && packet.place == "publish");
      const auto result = decode_with(
          packet, companion(packet, notation) + property.notation + " " + property.notation);
      CHECK(result.has_value() == may_repeat);
      if (!result) {
        CHECK(result.error().reason == Reason::protocol_error);
      }
    }
  }
}

TEST_CASE("an identifier that table 2-4 does not have is malformed in every packet") {
  for (const PacketRow& packet : packet_rows) {
    for (int identifier = 0; identifier < 256; ++identifier) {
      const std::string digits{"0123456789ABCDEF"[identifier >> 4],
                               "0123456789ABCDEF"[identifier & 15]};
      const bool known =
          std::any_of(property_rows.begin(), property_rows.end(), [&](const PropertyRow& row) {
            return std::string_view(row.notation).starts_with(digits);
          });
      if (!known) {
        CAPTURE(packet.place);
        CAPTURE(identifier);
        const auto result = decode_with(packet, digits + " 00000000");
        REQUIRE(result.has_error());
        CHECK(result.error().reason == Reason::malformed_packet);
      }
    }
  }
}

TEST_CASE("a property cut at any byte is malformed") {
  for (const PacketRow& packet : packet_rows) {
    for (const PropertyRow& property : property_rows) {
      if (std::count(property.places.begin(), property.places.end(), packet.place) == 0) {
        continue;
      }
      const std::string whole = Notation(property.notation).group().bytes;
      for (std::size_t size = 1; size < whole.size(); ++size) {
        std::string digits;
        for (const char c : whole.substr(0, size)) {
          digits += "0123456789ABCDEF"[static_cast<std::uint8_t>(c) >> 4];
          digits += "0123456789ABCDEF"[static_cast<std::uint8_t>(c) & 15];
        }
        CAPTURE(packet.place);
        CAPTURE(digits);
        const auto result = decode_with(packet, digits);
        REQUIRE(result.has_error());
        CHECK(result.error().reason == Reason::malformed_packet);
      }
    }
  }
}

TEST_CASE("a Byte property of 2 and more is a protocol error") {
  for (const PacketRow& packet : packet_rows) {
    for (const char* identifier : {"01", "17", "19", "24", "25", "28", "29", "2A"}) {
      for (const char* value : {" 02", " FF"}) {
        const auto good = decode_with(packet, identifier + std::string(" 00"));
        const auto bad = decode_with(packet, identifier + std::string(value));
        REQUIRE(bad.has_error());
        if (good) {
          CHECK(bad.error().reason == Reason::protocol_error);
        }
      }
    }
  }
}

}  // namespace
}  // namespace skerry::mqtt::testing
