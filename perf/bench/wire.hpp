// The few MQTT packets that a load needs, written and cut by hand: the load program shares no code
// with the server, so that one mistake cannot hide in both. It trusts the lengths that it reads no
// further than the packet they stand in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace skerry::bench {

enum class Kind : std::uint8_t {
  connect = 1,
  connack = 2,
  publish = 3,
  puback = 4,
  pubrec = 5,
  pubrel = 6,
  pubcomp = 7,
  subscribe = 8,
  suback = 9,
  pingresp = 13,
  disconnect = 14,
};

/// One packet of the server; views live as long as the bytes that it was cut from.
struct Packet {
  Kind kind{};
  int qos = 0;
  bool retain = false;
  std::uint16_t packet_id = 0;
  std::uint8_t reason = 0;  ///< of CONNACK, DISCONNECT, acknowledgements; of SUBACK the worst
  bool session_present = false;
  std::uint16_t receive_maximum = 65'535;  ///< of CONNACK
  std::string_view topic;
  std::string_view payload;
};

/// Cuts the first packet of `bytes`. Returns its size, 0 when it is not complete. Throws Failure on
/// what no MQTT packet is.
std::size_t read_packet(std::string_view bytes, int version, Packet& packet);

struct ConnectFields {
  std::string client_id;
  int version = 5;
  bool clean_start = true;
  std::uint32_t session_expiry = 0;  ///< seconds; 3.1.1: a session that stays when not 0
  std::uint16_t keep_alive = 0;
  std::string user_name;
  std::string password;
};
void append_connect(std::string& out, const ConnectFields& fields);
void append_subscribe(std::string& out, std::span<const std::string> filters, int qos,
                      std::uint16_t packet_id, int version);
void append_acknowledgement(std::string& out, Kind kind, std::uint16_t packet_id);
void append_pingreq(std::string& out);
/// `ends_session`: an expiry of 0 goes with it, so that nothing stays behind (MQTT 5).
void append_disconnect(std::string& out, int version, bool ends_session);

/// Everything of a PUBLISH up to its payload; at QoS 1 and 2 the packet id is at `id_offset`.
struct PublishHead {
  std::string bytes;
  std::size_t id_offset = 0;
};
PublishHead publish_head(std::string_view topic, int qos, bool retain, std::size_t payload_size,
                         int version);

}  // namespace skerry::bench
