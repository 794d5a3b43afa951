#include "wire.hpp"

namespace skerry::load {
namespace {

void append_two(std::string& out, std::size_t value) {
  out.push_back(static_cast<char>(value >> 8 & 0xFF));
  out.push_back(static_cast<char>(value & 0xFF));
}

void append_text(std::string& out, std::string_view text) {
  append_two(out, text.size());
  out.append(text);
}

void append_length(std::string& out, std::size_t length) {
  do {
    const std::size_t digit = length & 0x7F;
    length >>= 7;
    out.push_back(static_cast<char>(digit | (length != 0 ? 0x80u : 0u)));
  } while (length != 0);
}

void append_frame(std::string& out, int first, std::string_view body) {
  out.push_back(static_cast<char>(first));
  append_length(out, body.size());
  out.append(body);
}

std::uint16_t two_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(bytes[at]) << 8 |
                                    static_cast<std::uint8_t>(bytes[at + 1]));
}

/// Reads a variable byte integer and moves `at` behind it; false when it is not complete.
bool read_length(std::string_view bytes, std::size_t& at, std::size_t& length) {
  length = 0;
  for (int shift = 0; at < bytes.size() && shift <= 21; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes[at++]);
    length |= static_cast<std::size_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      return true;
    }
  }
  return false;
}

void read_publish(std::string_view body, int version, Packet& packet) {
  std::size_t at = 2u + two_at(body, 0);
  if (packet.qos > 0) {
    packet.packet_id = two_at(body, at);
    at += 2;
  }
  if (version == 5) {
    std::size_t properties = 0;
    read_length(body, at, properties);
    at += properties;
  }
  packet.payload = body.substr(at);
}

}  // namespace

std::size_t read_packet(std::string_view bytes, int version, Packet& packet) {
  std::size_t at = 1;
  std::size_t length = 0;
  if (bytes.size() < 2 || !read_length(bytes, at, length) || bytes.size() - at < length) {
    return 0;
  }
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const std::string_view body = bytes.substr(at, length);
  packet = {.kind = static_cast<Kind>(first >> 4), .qos = first >> 1 & 3, .payload = {}};
  if (packet.kind == Kind::publish) {
    read_publish(body, version, packet);
  } else if (packet.kind == Kind::connack) {
    packet.reason = static_cast<std::uint8_t>(body[1]);
  } else if (body.size() >= 2) {
    packet.packet_id = two_at(body, 0);
    packet.reason = version == 5 && body.size() > 2 ? static_cast<std::uint8_t>(body[2]) : 0;
  }
  return at + length;
}

void append_connect(std::string& out, std::string_view client_id, int version,
                    std::uint32_t expiry_seconds) {
  std::string body;
  append_text(body, "MQTT");
  body.push_back(static_cast<char>(version));
  body.push_back(0x02);  // clean start
  append_two(body, 0);
  if (version == 5) {
    body.push_back(5);  // bytes of properties: Session Expiry Interval
    body.push_back(0x11);
    append_two(body, expiry_seconds >> 16);
    append_two(body, expiry_seconds & 0xFFFF);
  }
  append_text(body, client_id);
  append_frame(out, 0x10, body);
}

void append_subscribe(std::string& out, std::string_view filter, int qos, int version) {
  std::string body;
  append_two(body, 1);
  if (version == 5) {
    body.push_back(0);
  }
  append_text(body, filter);
  body.push_back(static_cast<char>(qos));
  append_frame(out, 0x82, body);
}

void append_acknowledgement(std::string& out, Kind kind, std::uint16_t packet_id) {
  const int flags = kind == Kind::pubrel ? 2 : 0;
  out.push_back(static_cast<char>(static_cast<int>(kind) << 4 | flags));
  out.push_back(2);
  append_two(out, packet_id);
}

PublishHead publish_head(std::string_view topic, int qos, std::size_t payload_size, int version) {
  PublishHead head;
  const std::size_t properties = version == 5 ? 1 : 0;
  const std::size_t length = 2 + topic.size() + (qos > 0 ? 2u : 0u) + properties + payload_size;
  head.bytes.push_back(static_cast<char>(0x30 | qos << 1));
  append_length(head.bytes, length);
  append_text(head.bytes, topic);
  head.id_offset = head.bytes.size();
  if (qos > 0) {
    append_two(head.bytes, 0);
  }
  head.bytes.append(properties, '\0');
  return head;
}

}  // namespace skerry::load
