// Table 2-6 told a second time: every reason code put into every packet.
#include "mqtt/reason.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>

#include "unit/mqtt/vectors.hpp"

namespace skerry::mqtt::testing {
namespace {

using Codes = std::vector<int>;

struct PacketRow {
  const char* name;
  Sender sender;
  std::string before;
  std::string after;
  Codes codes;
};

const std::vector<PacketRow> packet_rows{
    {"connack",
     server,
     std::string("\x20\0", 2),
     std::string(1, '\0'),
     {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
      0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}},
    {"puback",
     client,
     std::string("\x40\0\1", 3),
     "",
     {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
    {"pubrec",
     server,
     std::string("\x50\0\1", 3),
     "",
     {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
    {"pubrel", client, std::string("\x62\0\1", 3), "", {0x00, 0x92}},
    {"pubcomp", server, std::string("\x70\0\1", 3), "", {0x00, 0x92}},
    {"suback",
     server,
     std::string("\x90\0\1\0", 4),
     "",
     {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}},
    {"unsuback",
     server,
     std::string("\xB0\0\1\0", 4),
     "",
     {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}},
    {"disconnect from the client",
     client,
     "\xE0",
     "",
     {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x8C, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}},
    {"disconnect from the server", server, "\xE0", "", {0x00, 0x80, 0x81, 0x82, 0x83, 0x87,
                                                        0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F,
                                                        0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
                                                        0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D,
                                                        0x9E, 0x9F, 0xA0, 0xA1, 0xA2}},
    {"auth from the client", client, "\xF0", std::string("\x04\x15\0\1m", 5), {0x18, 0x19}},
    {"auth from the server", server, "\xF0", std::string("\x04\x15\0\1m", 5), {0x00, 0x18}},
};

TEST_CASE("every reason code is accepted where table 2-6 has it and refused elsewhere") {
  for (const PacketRow& row : packet_rows) {
    for (int code = 0; code < 256; ++code) {
      CAPTURE(row.name);
      CAPTURE(code);
      const std::string body = row.before.substr(1) + static_cast<char>(code) + row.after;
      const OwnedFrame frame(static_cast<std::uint8_t>(row.before[0]), body);
      const auto packet = decode(*frame, v5, row.sender);
      CHECK(packet.has_value() == (std::count(row.codes.begin(), row.codes.end(), code) > 0));
      if (!packet) {
        CHECK(packet.error().reason == Reason::protocol_error);
      }
    }
  }
}

TEST_CASE("every reason code that some packet has has a name of its own") {
  std::map<std::string_view, int> names;
  for (int code = 0; code < 256; ++code) {
    const std::string_view name = name_of(static_cast<Reason>(code));
    const bool used = std::any_of(packet_rows.begin(), packet_rows.end(), [&](const auto& row) {
      return std::count(row.codes.begin(), row.codes.end(), code) > 0;
    });
    CAPTURE(code);
    CHECK((name != "unknown") == used);
    if (used) {
      CHECK(++names[name] == 1);
    }
  }
}

TEST_CASE("every reason has a return code of 3.1.1, and only success has 0") {
  for (int code = 0; code < 256; ++code) {
    const auto reason = static_cast<Reason>(code);
    CHECK(connack_return_code(reason) <= 5);
    CHECK((connack_return_code(reason) == 0) == !is_error(reason));
  }
}

}  // namespace
}  // namespace skerry::mqtt::testing
