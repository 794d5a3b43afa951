// Named packets in their wire form, valid and not, for each version and direction. Unit tests, the
// seeds of the fuzzer and conformance tests read the same table.
#pragma once

#include <vector>

#include "unit/mqtt/notation.hpp"

namespace skerry::mqtt::testing {

struct Vector {
  const char* name;
  Version version;
  Sender sender;
  const char* notation;
  bool canonical = true;  ///< encode() gives these very bytes back
};

struct BadVector {
  const char* name;
  Version version;
  Sender sender;
  Reason reason;
  const char* notation;
};

inline constexpr Version v31 = Version::v3_1;
inline constexpr Version v311 = Version::v3_1_1;
inline constexpr Version v5 = Version::v5;
inline constexpr Sender client = Sender::client;
inline constexpr Sender server = Sender::server;

/// Everything here is accepted.
inline const std::vector<Vector>& vectors() {
  static const std::vector<Vector> table{
      // CONNECT
      {"connect 5.0 smallest", v5, client, R"(10 "MQTT" 05 02 003C {} "")"},
      {"connect 5.0 resuming", v5, client, R"(10 "MQTT" 05 00 0000 { 11 00000E10 } "device-1")"},
      {"connect 5.0 with everything", v5, client,
       R"(10 "MQTT" 05 F6 003C
          { 11 FFFFFFFF 21 0014 27 00010000 22 000A 19 01 17 00 15 "SCRAM" 16 [0001FF]
            26 "a" "b" 26 "a" "c" }
          "device-1"
          { 18 0000000A 01 01 02 00000E10 03 "text/plain" 08 "answers/1" 09 [CAFE] 26 "k" "v" }
          "wills/device-1" "gone" "user" [00FF])"},
      {"connect 5.0 password without user name", v5, client,
       R"(10 "MQTT" 05 42 003C {} "c" "secret")"},
      {"connect 5.0 defaults spelled out", v5, client,
       R"(10 "MQTT" 05 02 003C { 11 00000000 21 FFFF 22 0000 19 00 17 01 } "c")", false},
      {"connect 5.0 empty will payload", v5, client, R"(10 "MQTT" 05 06 003C {} "c" {} "w" "")"},
      {"connect 5.0 client id beyond ASCII", v5, client,
       R"(10 "MQTT" 05 02 003C {} [ C3A9 E282AC F09F9880 EFBBBF ED9FBF EE8080 F48FBFBF ])"},
      {"connect 3.1.1 smallest", v311, client, R"(10 "MQTT" 04 02 003C "")"},
      {"connect 3.1.1 persistent", v311, client, R"(10 "MQTT" 04 00 003C "device-1")"},
      {"connect 3.1.1 with everything", v311, client,
       R"(10 "MQTT" 04 EE 003C "device-1" "wills/device-1" "gone" "user" "password")"},
      {"connect 3.1.1 user name only", v311, client, R"(10 "MQTT" 04 82 003C "c" "user")"},
      {"connect 3.1", v31, client, R"(10 "MQIsdp" 03 02 003C "device-1")"},
      {"connect 3.1 with everything", v31, client,
       R"(10 "MQIsdp" 03 F6 003C "device-1" "w" "gone" "user" "password")"},
      {"connect 3.1 user name flag without user name", v31, client,
       R"(10 "MQIsdp" 03 C2 003C "device-1")", false},
      // CONNACK
      {"connack 5.0 success", v5, server, R"(20 00 00 {})"},
      {"connack 5.0 session present", v5, server, R"(20 01 00 {})"},
      {"connack 5.0 refused", v5, server, R"(20 00 87 { 1F "no" 26 "a" "b" })"},
      {"connack 5.0 with everything", v5, server,
       R"(20 00 00 { 11 00000E10 21 0400 24 01 25 01 27 00200000 12 "auto-1" 22 0020 1F "hello"
          28 01 29 00 2A 01 13 003C 1A "responses/" 1C "other:8883" 15 "SCRAM" 16 [00FF]
          26 "a" "b" })"},
      {"connack 3.1.1 success", v311, server, "20 0000"},
      {"connack 3.1.1 session present", v311, server, "20 0100"},
      {"connack 3.1.1 not authorized", v311, server, "20 0005"},
      {"connack 3.1 identifier rejected", v31, server, "20 0002"},
      // PUBLISH
      {"publish 5.0 qos 0", v5, client, R"(30 "a/b" {} 'hello')"},
      {"publish 5.0 empty payload", v5, client, R"(31 "a/b" {})"},
      {"publish 5.0 qos 1", v5, client, R"(32 "a/b" 000A {} 'hello')"},
      {"publish 5.0 qos 2 dup retain", v5, client, R"(3D "a/b" FFFF {} 'hello')"},
      {"publish 5.0 with everything", v5, client,
       R"(33 "devices/7/telemetry" 0001
          { 01 01 02 0000003C 03 "application/json" 08 "answers/1" 09 [CAFE] 26 "a" "b" 26 "a" "b"
            23 0007 } '{"t":21.5}')"},
      {"publish 5.0 alias alone", v5, client, R"(30 "" { 23 0007 } 'x')"},
      {"publish 5.0 alias 0 is left to the session", v5, client, R"(30 "a" { 23 0000 } 'x')"},
      {"publish 5.0 properties between user properties", v5, client,
       R"(30 "a" { 26 "a" "b" 03 "t" 26 "c" "d" 01 00 26 "" "" } 'x')", false},
      {"publish 5.0 from the server with subscription identifiers", v5, server,
       R"(30 "a/b" { 02 00000001 26 "k" "v" 23 0001 0B 01 0B FFFFFF7F } 'x')"},
      {"publish 3.1.1 qos 0", v311, client, R"(30 "a/b" 'hello')"},
      {"publish 3.1.1 qos 1", v311, client, R"(32 "a/b" 000A 'hello')"},
      {"publish 3.1.1 qos 2 dup retain", v311, server, R"(3D "a/b" 000A)"},
      {"publish 3.1 qos 1", v31, client, R"(32 "a/b" 000A 'hello')"},
      {"publish of a $ topic", v5, client, R"(30 "$SYS/x" {} 'x')"},
      {"publish of slashes alone", v311, client, R"(30 "//" 'x')"},
      {"publish of a topic beyond ASCII", v5, client, R"(30 [ 'caf' C3A9 2F F09F9880 ] {} 'x')"},
      {"publish 5.0 payload of 200 bytes", v5, client,
       R"(30 "a" {} '01234567890123456789012345678901234567890123456789'
          '01234567890123456789012345678901234567890123456789'
          '01234567890123456789012345678901234567890123456789'
          '01234567890123456789012345678901234567890123456789')"},
      // acknowledgements
      {"puback 5.0 success", v5, client, "40 000A"},
      {"puback 5.0 success spelled out", v5, client, "40 000A 00", false},
      {"puback 5.0 success with empty properties", v5, client, "40 000A 00 {}", false},
      {"puback 5.0 reason", v5, server, "40 000A 10"},
      {"puback 5.0 reason with properties", v5, server,
       R"(40 000A 87 { 1F "not yours" 26 "a" "b" })"},
      {"puback 5.0 success with a user property", v5, server, R"(40 000A 00 { 26 "a" "b" })"},
      {"pubrec 5.0 success", v5, client, "50 000A"},
      {"pubrec 5.0 reason", v5, server, "50 000A 97"},
      {"pubrec 5.0 properties", v5, server, R"(50 000A 97 { 1F "full" })"},
      {"pubrel 5.0 success", v5, client, "62 000A"},
      {"pubrel 5.0 not found", v5, server, "62 000A 92"},
      {"pubrel 5.0 properties", v5, client, R"(62 000A 92 { 1F "?" 26 "a" "b" })"},
      {"pubcomp 5.0 success", v5, client, "70 000A"},
      {"pubcomp 5.0 not found", v5, server, "70 000A 92"},
      {"pubcomp 5.0 properties", v5, client, R"(70 000A 92 { 1F "?" })"},
      {"puback 3.1.1", v311, client, "40 000A"},
      {"pubrec 3.1.1", v311, server, "50 000A"},
      {"pubrel 3.1.1", v311, client, "62 000A"},
      {"pubcomp 3.1.1", v311, server, "70 FFFF"},
      {"puback 3.1", v31, client, "40 000A"},
      {"pubrel 3.1 repeated", v31, client, "6A 000A", false},
      // SUBSCRIBE and SUBACK
      {"subscribe 5.0", v5, client, R"(82 000A {} "a/+/b" 00)"},
      {"subscribe 5.0 options", v5, client,
       R"(82 000A { 0B 8101 26 "a" "b" } "#" 2E "a/#" 01 "$share/group/a/+" 1A)"},
      {"subscribe 5.0 largest identifier", v5, client, R"(82 000A { 0B FFFFFF7F } "a" 02)"},
      {"subscribe 3.1.1", v311, client, R"(82 000A "a/b" 01 "c/#" 02)"},
      {"subscribe 3.1 repeated", v31, client, R"(8A 000A "a/b" 01)", false},
      {"suback 5.0", v5, server, "90 000A {} 00 01 02 80 87 8F A1 A2 9E 97 91 83"},
      {"suback 5.0 properties", v5, server, R"(90 000A { 1F "half" 26 "a" "b" } 00 87)"},
      {"suback 3.1.1", v311, server, "90 000A 00 01 02 80"},
      {"suback 3.1", v31, server, "90 000A 01"},
      // UNSUBSCRIBE and UNSUBACK
      {"unsubscribe 5.0", v5, client, R"(A2 000A {} "a/b")"},
      {"unsubscribe 5.0 properties", v5, client, R"(A2 000A { 26 "a" "b" } "a/b" "$share/g/#")"},
      {"unsubscribe 3.1.1", v311, client, R"(A2 000A "a/b" "#")"},
      {"unsubscribe 3.1 repeated", v31, client, R"(AA 000A "a/b")", false},
      {"unsuback 5.0", v5, server, "B0 000A {} 00 11 80 83 87 8F 91"},
      {"unsuback 5.0 properties", v5, server, R"(B0 000A { 1F "x" 26 "a" "b" } 00)"},
      {"unsuback 3.1.1", v311, server, "B0 000A"},
      // PINGREQ, PINGRESP, DISCONNECT, AUTH
      {"pingreq 5.0", v5, client, "C0"},
      {"pingreq 3.1.1", v311, client, "C0"},
      {"pingresp 5.0", v5, server, "D0"},
      {"pingresp 3.1", v31, server, "D0"},
      {"disconnect 5.0 normal", v5, client, "E0"},
      {"disconnect 5.0 normal spelled out", v5, client, "E0 00 {}", false},
      {"disconnect 5.0 with will", v5, client, "E0 04"},
      {"disconnect 5.0 properties", v5, client, R"(E0 00 { 11 00000000 1F "bye" 26 "a" "b" })"},
      {"disconnect 5.0 from the server", v5, server, "E0 8E"},
      {"disconnect 5.0 server moved", v5, server, R"(E0 9D { 1F "moved" 1C "there" })"},
      {"disconnect 3.1.1", v311, client, "E0"},
      {"disconnect 3.1", v31, client, "E0"},
      {"auth 5.0 continue", v5, client, R"(F0 18 { 15 "SCRAM" 16 [0102] })"},
      {"auth 5.0 re-authenticate", v5, client, R"(F0 19 { 15 "SCRAM" })"},
      {"auth 5.0 from the server", v5, server,
       R"(F0 18 { 15 "SCRAM" 16 [00] 1F "more" 26 "a" "b" })"},
      {"auth 5.0 success", v5, server, R"(F0 00 { 15 "SCRAM" })"},
      {"auth 5.0 success short", v5, server, "F0"},
  };
  return table;
}

/// Everything here is refused with that reason.
inline const std::vector<BadVector>& bad_vectors() {
  using enum Reason;
  static const std::vector<BadVector> table{
      // CONNECT
      {"unknown level", v5, client, unsupported_protocol_version, R"(10 "MQTT" 06 02 003C {} "c")"},
      {"level 0", v5, client, unsupported_protocol_version, R"(10 "MQTT" 00 02 003C {} "c")"},
      {"3.1 under the new name", v5, client, unsupported_protocol_version,
       R"(10 "MQTT" 03 02 003C "c")"},
      {"3.1.1 under the old name", v5, client, unsupported_protocol_version,
       R"(10 "MQIsdp" 04 02 003C "c")"},
      {"another protocol", v5, client, unsupported_protocol_version,
       R"(10 "AMQP" 05 02 003C {} "c")"},
      {"protocol name in lower case", v5, client, unsupported_protocol_version,
       R"(10 "mqtt" 05 02 003C {} "c")"},
      {"bridge bit in the level", v5, client, unsupported_protocol_version,
       R"(10 "MQTT" 84 02 003C "c")"},
      {"reserved connect flag", v5, client, malformed_packet, R"(10 "MQTT" 05 03 003C {} "c")"},
      {"reserved connect flag 3.1.1", v311, client, malformed_packet,
       R"(10 "MQTT" 04 03 003C "c")"},
      {"will qos 3", v5, client, malformed_packet, R"(10 "MQTT" 05 1E 003C {} "c" {} "w" "")"},
      {"will qos without will", v5, client, malformed_packet, R"(10 "MQTT" 05 0A 003C {} "c")"},
      {"will retain without will", v5, client, malformed_packet, R"(10 "MQTT" 05 22 003C {} "c")"},
      {"password without user name 3.1.1", v311, client, malformed_packet,
       R"(10 "MQTT" 04 42 003C "c" "secret")"},
      {"user name is missing", v311, client, malformed_packet, R"(10 "MQTT" 04 82 003C "c")"},
      {"password is missing", v5, client, malformed_packet, R"(10 "MQTT" 05 42 003C {} "c")"},
      {"will is missing", v5, client, malformed_packet, R"(10 "MQTT" 05 06 003C {} "c")"},
      {"user name without flag", v5, client, malformed_packet,
       R"(10 "MQTT" 05 02 003C {} "c" "user")"},
      {"client id is missing", v311, client, malformed_packet, R"(10 "MQTT" 04 02 003C)"},
      {"client id with U+0000", v5, client, malformed_packet,
       R"(10 "MQTT" 05 02 003C {} [610062])"},
      {"client id with a surrogate", v5, client, malformed_packet,
       R"(10 "MQTT" 05 02 003C {} [EDA080])"},
      {"client id overlong", v311, client, malformed_packet, R"(10 "MQTT" 04 02 003C [C080])"},
      {"user name not UTF-8", v311, client, malformed_packet, R"(10 "MQTT" 04 82 003C "c" [FF])"},
      {"will topic with wildcard", v5, client, topic_name_invalid,
       R"(10 "MQTT" 05 06 003C {} "c" {} "w/#" "")"},
      {"will topic empty", v311, client, topic_name_invalid, R"(10 "MQTT" 04 06 003C "c" "" "")"},
      {"will topic not UTF-8", v5, client, malformed_packet,
       R"(10 "MQTT" 05 06 003C {} "c" {} [C1] "")"},
      {"will response topic with wildcard", v5, client, protocol_error,
       R"(10 "MQTT" 05 06 003C {} "c" { 08 "a/+" } "w" "")"},
      {"receive maximum 0", v5, client, protocol_error, R"(10 "MQTT" 05 02 003C { 21 0000 } "c")"},
      {"maximum packet size 0", v5, client, protocol_error,
       R"(10 "MQTT" 05 02 003C { 27 00000000 } "c")"},
      {"request problem information 2", v5, client, protocol_error,
       R"(10 "MQTT" 05 02 003C { 17 02 } "c")"},
      {"request response information 2", v5, client, protocol_error,
       R"(10 "MQTT" 05 02 003C { 19 02 } "c")"},
      {"authentication data without method", v5, client, protocol_error,
       R"(10 "MQTT" 05 02 003C { 16 [00] } "c")"},
      {"connect from the server", v5, server, protocol_error, R"(10 "MQTT" 05 02 003C {} "c")"},
      {"bytes after connect", v311, client, malformed_packet, R"(10 "MQTT" 04 02 003C "c" 00)"},
      {"property length cut short", v5, client, malformed_packet,
       R"(10 "MQTT" 05 02 003C 03 11 0000 "c")"},
      {"property length not minimal", v5, client, malformed_packet,
       R"(10 "MQTT" 05 02 003C 8000 "c")"},
      {"property length of five bytes", v5, client, malformed_packet,
       R"(10 "MQTT" 05 02 003C FFFFFFFF01 "c")"},
      {"property identifier in two bytes", v5, client, malformed_packet,
       R"(10 "MQTT" 05 02 003C { 9100 00000001 } "c")"},
      // CONNACK
      {"connack reserved flags", v5, server, malformed_packet, "20 02 00 {}"},
      {"connack refuses with a session", v5, server, protocol_error, "20 01 87 {}"},
      {"connack refuses with a session 3.1.1", v311, server, protocol_error, "20 0105"},
      {"connack reserved return code", v311, server, protocol_error, "20 0006"},
      {"connack maximum qos 2", v5, server, protocol_error, "20 00 00 { 24 02 }"},
      {"connack receive maximum 0", v5, server, protocol_error, "20 00 00 { 21 0000 }"},
      {"connack from the client", v5, client, protocol_error, "20 00 00 {}"},
      {"connack properties 3.1.1", v311, server, malformed_packet, "20 00 00 {}"},
      {"connack without properties 5.0", v5, server, malformed_packet, "20 00 00"},
      // PUBLISH
      {"publish qos 3", v5, client, malformed_packet, R"(36 "a" 000A {})"},
      {"publish dup at qos 0", v311, client, malformed_packet, R"(38 "a")"},
      {"publish packet id 0", v5, client, protocol_error, R"(32 "a" 0000 {})"},
      {"publish packet id is missing", v311, client, malformed_packet, R"(32 "a" 00)"},
      {"publish wildcard +", v5, client, topic_name_invalid, R"(30 "a/+" {})"},
      {"publish wildcard # in a word", v311, client, topic_name_invalid, R"(30 "a#b")"},
      {"publish empty topic 3.1.1", v311, client, topic_name_invalid, R"(30 "" 'x')"},
      {"publish neither topic nor alias", v5, client, protocol_error, R"(30 "" {} 'x')"},
      {"publish topic with U+0000", v5, client, malformed_packet, R"(30 [610062] {})"},
      {"publish topic with a surrogate", v5, client, malformed_packet, R"(30 [61EDBFBF] {})"},
      {"publish topic cut in a character", v311, client, malformed_packet, R"(30 [61E282])"},
      {"publish topic beyond U+10FFFF", v311, client, malformed_packet, R"(30 [F4908080])"},
      {"publish subscription identifier from a client", v5, client, protocol_error,
       R"(30 "a" { 0B 01 })"},
      {"publish subscription identifier 0", v5, server, protocol_error, R"(30 "a" { 0B 00 })"},
      {"publish payload format 2", v5, client, protocol_error, R"(30 "a" { 01 02 })"},
      {"publish response topic with wildcard", v5, client, protocol_error,
       R"(30 "a" { 08 "b/#" })"},
      {"publish response topic empty", v5, client, protocol_error, R"(30 "a" { 08 "" })"},
      {"publish content type not UTF-8", v5, client, malformed_packet, R"(30 "a" { 03 [80] })"},
      {"publish user property not UTF-8", v5, client, malformed_packet,
       R"(30 "a" { 26 "a" [FE] })"},
      {"publish user property with U+0000", v5, client, malformed_packet,
       R"(30 "a" { 26 [00] "b" })"},
      {"publish unknown property", v5, client, malformed_packet, R"(30 "a" { 7F 00 })"},
      {"publish property 0", v5, client, malformed_packet, R"(30 "a" { 00 00 })"},
      {"publish property in two bytes", v5, client, malformed_packet, R"(30 "a" { 8100 01 })"},
      {"publish property value over the end", v5, client, malformed_packet,
       R"(30 "a" { 02 0000 } 'xxxx')"},
      {"publish without property length", v5, client, malformed_packet, R"(30 "a")"},
      // acknowledgements
      {"puback packet id 0", v5, client, protocol_error, "40 0000"},
      {"pubrec packet id 0 3.1.1", v311, client, protocol_error, "50 0000"},
      {"puback without packet id", v5, client, malformed_packet, "40"},
      {"pubrel half a packet id", v311, client, malformed_packet, "62 00"},
      {"puback reason in 3.1.1", v311, client, malformed_packet, "40 000A 00"},
      {"puback reason of another packet", v5, client, protocol_error, "40 000A 92"},
      {"pubrel reason of another packet", v5, client, protocol_error, "62 000A 80"},
      {"pubcomp bytes after the properties", v5, client, malformed_packet, "70 000A 00 {} 00"},
      {"pubrel repeated 3.1.1", v311, client, malformed_packet, "6A 000A"},
      // SUBSCRIBE and SUBACK
      {"subscribe packet id 0", v5, client, protocol_error, R"(82 0000 {} "a" 00)"},
      {"subscribe no filter", v5, client, protocol_error, "82 000A {}"},
      {"subscribe no filter 3.1.1", v311, client, protocol_error, "82 000A"},
      {"subscribe no options", v5, client, malformed_packet, R"(82 000A {} "a")"},
      {"subscribe qos 3", v5, client, protocol_error, R"(82 000A {} "a" 03)"},
      {"subscribe qos 3 3.1.1", v311, client, malformed_packet, R"(82 000A "a" 03)"},
      {"subscribe retain handling 3", v5, client, protocol_error, R"(82 000A {} "a" 30)"},
      {"subscribe no local on a share", v5, client, protocol_error,
       R"(82 000A {} "$share/g/a" 04)"},
      {"subscribe identifier 0", v5, client, protocol_error, R"(82 000A { 0B 00 } "a" 00)"},
      {"subscribe identifier not minimal", v5, client, malformed_packet,
       R"(82 000A { 0B 8100 } "a" 00)"},
      {"subscribe identifier of five bytes", v5, client, malformed_packet,
       R"(82 000A { 0B 8080808001 } "a" 00)"},
      {"subscribe identifier twice", v5, client, protocol_error,
       R"(82 000A { 0B 01 0B 02 } "a" 00)"},
      {"subscribe empty filter", v5, client, topic_filter_invalid, R"(82 000A {} "" 00)"},
      {"subscribe # not last", v311, client, topic_filter_invalid, R"(82 000A "#/a" 00)"},
      {"subscribe # in a word", v5, client, topic_filter_invalid, R"(82 000A {} "a#" 00)"},
      {"subscribe + in a word", v5, client, topic_filter_invalid, R"(82 000A {} "a/+b" 00)"},
      {"subscribe share without filter", v5, client, topic_filter_invalid,
       R"(82 000A {} "$share/g" 00)"},
      {"subscribe share without name", v5, client, topic_filter_invalid,
       R"(82 000A {} "$share//a" 00)"},
      {"subscribe filter with U+0000", v5, client, malformed_packet, R"(82 000A {} [00] 00)"},
      {"subscribe from the server", v5, server, protocol_error, R"(82 000A {} "a" 00)"},
      {"subscribe repeated 3.1.1", v311, client, malformed_packet, R"(8A 000A "a" 00)"},
      {"suback from the client", v5, client, protocol_error, "90 000A {} 00"},
      {"suback no reason", v5, server, protocol_error, "90 000A {}"},
      {"suback 5.0 reason in 3.1.1", v311, server, protocol_error, "90 000A 87"},
      {"suback reason of another packet", v5, server, protocol_error, "90 000A {} 11"},
      // UNSUBSCRIBE and UNSUBACK
      {"unsubscribe packet id 0", v311, client, protocol_error, R"(A2 0000 "a")"},
      {"unsubscribe no filter", v5, client, protocol_error, "A2 000A {}"},
      {"unsubscribe invalid filter", v5, client, topic_filter_invalid, R"(A2 000A {} "a/#/b")"},
      {"unsubscribe reason string", v5, client, malformed_packet, R"(A2 000A { 1F "x" } "a")"},
      {"unsuback reason in 3.1.1", v311, server, malformed_packet, "B0 000A 00"},
      {"unsuback from the client", v5, client, protocol_error, "B0 000A {} 00"},
      // PINGREQ, PINGRESP, DISCONNECT, AUTH
      {"pingreq with a body", v5, client, malformed_packet, "C0 00"},
      {"pingreq from the server", v5, server, protocol_error, "C0"},
      {"pingresp from the client", v311, client, protocol_error, "D0"},
      {"disconnect with a body 3.1.1", v311, client, malformed_packet, "E0 00"},
      {"disconnect from the server 3.1.1", v311, server, protocol_error, "E0"},
      {"disconnect reason of the server", v5, client, protocol_error, "E0 8E"},
      {"disconnect reason of the client", v5, server, protocol_error, "E0 04"},
      {"disconnect expiry from the server", v5, server, protocol_error, "E0 00 { 11 00000001 }"},
      {"disconnect bytes after the properties", v5, client, malformed_packet, "E0 00 {} 00"},
      {"auth in 3.1.1", v311, client, malformed_packet, "F0"},
      {"auth in 3.1.1 from the server", v311, server, malformed_packet, "F0"},
      {"auth short from the client", v5, client, protocol_error, "F0"},
      {"auth success from the client", v5, client, protocol_error, R"(F0 00 { 15 "m" })"},
      {"auth re-authenticate from the server", v5, server, protocol_error, R"(F0 19 { 15 "m" })"},
      {"auth without method", v5, client, protocol_error, "F0 18 {}"},
      {"auth without properties", v5, client, malformed_packet, "F0 18"},
      // types and flags
      {"type 0", v5, client, malformed_packet, "00"},
      {"subscribe flags", v5, client, malformed_packet, R"(80 000A {} "a" 00)"},
      {"pubrel flags", v5, client, malformed_packet, "60 000A"},
      {"pingreq flags", v5, client, malformed_packet, "C1"},
      {"auth flags", v5, client, malformed_packet, R"(F1 18 { 15 "m" })"},
  };
  return table;
}

}  // namespace skerry::mqtt::testing
