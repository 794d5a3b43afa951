// The few MQTT packets that a load needs, written and cut by hand: the load program shares no code
// with the server, so that one mistake cannot hide in both. It trusts what it reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skerry::load {

enum class Kind : std::uint8_t {
  connack = 2,
  publish = 3,
  puback = 4,
  pubrec = 5,
  pubrel = 6,
  pubcomp = 7,
  suback = 9,
  disconnect = 14,
};

/// One packet of the server; views live as long as the bytes that it was cut from.
struct Packet {
  Kind kind{};
  int qos = 0;
  std::uint16_t packet_id = 0;
  std::uint8_t reason = 0;  ///< of CONNACK and acknowledgements
  std::string_view payload;
};

/// Cuts the first packet of `bytes`. Returns its size, 0 when it is not complete.
std::size_t read_packet(std::string_view bytes, int version, Packet& packet);

/// Clean start. `expiry_seconds` (5 only): the session outlives its connection for so long.
void append_connect(std::string& out, std::string_view client_id, int version,
                    std::uint32_t expiry_seconds = 0);
void append_subscribe(std::string& out, std::string_view filter, int qos, int version);
void append_acknowledgement(std::string& out, Kind kind, std::uint16_t packet_id);

/// Everything of a PUBLISH up to its payload; at QoS 1 and 2 the packet id is at `id_offset`.
struct PublishHead {
  std::string bytes;
  std::size_t id_offset = 0;
};
PublishHead publish_head(std::string_view topic, int qos, std::size_t payload_size, int version);

}  // namespace skerry::load
