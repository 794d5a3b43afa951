#include "wire.hpp"

#include <algorithm>

#include "failure.hpp"

namespace skerry::bench {
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
  if (at + 2 > bytes.size()) {
    throw Failure("the broker sent a packet that ends too early");
  }
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

void skip_properties(std::string_view body, std::size_t& at) {
  std::size_t size = 0;
  if (!read_length(body, at, size) || body.size() - at < size) {
    throw Failure("the broker sent properties that are longer than their packet");
  }
  at += size;
}

void read_publish(std::string_view body, int version, Packet& packet) {
  const std::size_t size = two_at(body, 0);
  packet.topic = body.substr(2, size);
  std::size_t at = 2 + size;
  if (packet.qos > 0) {
    packet.packet_id = two_at(body, at);
    at += 2;
  }
  if (version == 5) {
    skip_properties(body, at);
  }
  packet.payload = body.substr(std::min(at, body.size()));
}

/// The value of Receive Maximum (0x21) among the properties of a CONNACK. Others are skipped by
/// their form: MQTT 5.0 section 2.2.2.2.
std::uint16_t receive_maximum_in(std::string_view properties) {
  std::size_t at = 0;
  while (at < properties.size()) {
    const auto id = static_cast<std::uint8_t>(properties[at++]);
    switch (id) {
      case 0x21:
        return two_at(properties, at);
      case 0x13:
      case 0x22:
        at += 2;
        break;
      case 0x11:
      case 0x27:
        at += 4;
        break;
      case 0x24:
      case 0x25:
      case 0x28:
      case 0x29:
      case 0x2A:
        at += 1;
        break;
      case 0x26: {  // A pair of texts.
        at += std::size_t{2} + two_at(properties, at);
        at += std::size_t{2} + two_at(properties, at);
        break;
      }
      default:
        at += std::size_t{2} + two_at(properties, at);
        break;
    }
  }
  return 65'535;
}

void read_connack(std::string_view body, int version, Packet& packet) {
  packet.session_present = (two_at(body, 0) & 0x100) != 0;
  packet.reason = static_cast<std::uint8_t>(body[1]);
  if (version == 5 && body.size() > 2) {
    std::size_t at = 2;
    std::size_t size = 0;
    if (read_length(body, at, size) && body.size() - at >= size) {
      packet.receive_maximum = receive_maximum_in(body.substr(at, size));
    }
  }
}

void read_suback(std::string_view body, int version, Packet& packet) {
  packet.packet_id = two_at(body, 0);
  std::size_t at = 2;
  if (version == 5) {
    skip_properties(body, at);
  }
  for (; at < body.size(); ++at) {
    packet.reason = std::max(packet.reason, static_cast<std::uint8_t>(body[at]));
  }
}

}  // namespace

std::size_t read_packet(std::string_view bytes, int version, Packet& packet) {
  std::size_t at = 1;
  std::size_t length = 0;
  if (bytes.size() < 2) {
    return 0;
  }
  if (!read_length(bytes, at, length)) {
    if (bytes.size() >= 5) {
      throw Failure("the broker sent bytes that are no MQTT packet");
    }
    return 0;
  }
  if (bytes.size() - at < length) {
    return 0;
  }
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const std::string_view body = bytes.substr(at, length);
  packet = Packet{};
  packet.kind = static_cast<Kind>(first >> 4);
  switch (packet.kind) {
    case Kind::publish:
      packet.qos = first >> 1 & 3;
      packet.retain = (first & 1) != 0;
      read_publish(body, version, packet);
      break;
    case Kind::connack:
      read_connack(body, version, packet);
      break;
    case Kind::suback:
      read_suback(body, version, packet);
      break;
    case Kind::disconnect:
      packet.reason = body.empty() ? 0 : static_cast<std::uint8_t>(body[0]);
      break;
    case Kind::puback:
    case Kind::pubrec:
    case Kind::pubrel:
    case Kind::pubcomp:
      packet.packet_id = two_at(body, 0);
      packet.reason = version == 5 && body.size() > 2 ? static_cast<std::uint8_t>(body[2]) : 0;
      break;
    case Kind::pingresp:
      break;
    case Kind::connect:
    case Kind::subscribe:
      throw Failure("the broker sent a packet that only clients send");
  }
  return at + length;
}

void append_connect(std::string& out, const ConnectFields& fields) {
  std::string body;
  append_text(body, "MQTT");
  body.push_back(static_cast<char>(fields.version));
  const bool starts_clean =
      fields.version == 5 ? fields.clean_start : fields.clean_start && fields.session_expiry == 0;
  body.push_back(static_cast<char>((starts_clean ? 0x02 : 0) |
                                   (fields.user_name.empty() ? 0 : 0x80) |
                                   (fields.password.empty() ? 0 : 0x40)));
  append_two(body, fields.keep_alive);
  if (fields.version == 5) {
    body.push_back(fields.session_expiry == 0 ? 0 : 5);
    if (fields.session_expiry != 0) {
      body.push_back(0x11);
      append_two(body, fields.session_expiry >> 16);
      append_two(body, fields.session_expiry & 0xFFFF);
    }
  }
  append_text(body, fields.client_id);
  if (!fields.user_name.empty()) {
    append_text(body, fields.user_name);
  }
  if (!fields.password.empty()) {
    append_text(body, fields.password);
  }
  append_frame(out, 0x10, body);
}

void append_subscribe(std::string& out, std::span<const std::string> filters, int qos,
                      std::uint16_t packet_id, int version) {
  std::string body;
  append_two(body, packet_id);
  if (version == 5) {
    body.push_back(0);
  }
  for (const std::string& filter : filters) {
    append_text(body, filter);
    body.push_back(static_cast<char>(qos));
  }
  append_frame(out, 0x82, body);
}

void append_acknowledgement(std::string& out, Kind kind, std::uint16_t packet_id) {
  const int flags = kind == Kind::pubrel ? 2 : 0;
  const char bytes[] = {static_cast<char>(static_cast<int>(kind) << 4 | flags), 2,
                        static_cast<char>(packet_id >> 8), static_cast<char>(packet_id & 0xFF)};
  out.append(bytes, sizeof bytes);
}

void append_pingreq(std::string& out) {
  out.append("\xC0\0", 2);
}

void append_disconnect(std::string& out, int version, bool ends_session) {
  if (version == 5 && ends_session) {
    out.append("\xE0\x07\0\x05\x11\0\0\0\0", 9);
  } else {
    out.append("\xE0\0", 2);
  }
}

PublishHead publish_head(std::string_view topic, int qos, bool retain, std::size_t payload_size,
                         int version) {
  PublishHead head;
  const std::size_t properties = version == 5 ? 1 : 0;
  const std::size_t length = 2 + topic.size() + (qos > 0 ? 2u : 0u) + properties + payload_size;
  head.bytes.push_back(static_cast<char>(0x30 | qos << 1 | (retain ? 1 : 0)));
  append_length(head.bytes, length);
  append_text(head.bytes, topic);
  head.id_offset = head.bytes.size();
  if (qos > 0) {
    append_two(head.bytes, 0);
  }
  head.bytes.append(properties, '\0');
  return head;
}

}  // namespace skerry::bench
