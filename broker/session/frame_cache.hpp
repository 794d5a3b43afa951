// FrameCache: within one fan-out, a PUBLISH is encoded once for each (version, QoS, retain) and
// then copied, with the packet id patched in. Recipients with subscription identifiers or aliases
// get a header of their own and do not come here.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "mqtt/codec.hpp"
#include "mqtt/packet.hpp"

namespace skerry::session {

class FrameCache {
 public:
  /// Forgets the frames of the message before; keeps the memory.
  void begin() noexcept {
    for (Entry& entry : entries_) {
      entry.frame.clear();
    }
  }

  /// Appends the frame for this header to `out`, encoding it at the first call. Only packet_id, qos
  /// and retain of `header` may be set.
  void append(const mqtt::Publish& publish, const mqtt::PublishHeader& header,
              mqtt::Version version, std::string& out) {
    Entry& entry = entries_[index_of(header, version)];
    if (entry.frame.empty()) {
      mqtt::encode_publish(publish, header, version, entry.frame);
      entry.packet_id_at = find_packet_id(entry.frame, publish.topic.size());
    }
    const std::size_t start = out.size();
    out.append(entry.frame);
    if (header.qos != mqtt::Qos::at_most_once) {
      out[start + entry.packet_id_at] = static_cast<char>(header.packet_id.value >> 8);
      out[start + entry.packet_id_at + 1] = static_cast<char>(header.packet_id.value & 0xff);
    }
  }

  std::size_t size(const mqtt::PublishHeader& header, mqtt::Version version) const noexcept {
    return entries_[index_of(header, version)].frame.size();
  }

 private:
  struct Entry {
    std::string frame;
    std::size_t packet_id_at = 0;
  };

  static std::size_t index_of(const mqtt::PublishHeader& header, mqtt::Version version) noexcept {
    return static_cast<std::size_t>(header.qos) * 4 + (header.retain ? 2u : 0u) +
           (version == mqtt::Version::v5 ? 1u : 0u);
  }

  // Fixed header byte, Remaining Length (1–4 bytes), topic length (2), topic, packet id.
  static std::size_t find_packet_id(std::string_view frame, std::size_t topic_size) noexcept {
    std::size_t at = 1;
    while ((static_cast<unsigned char>(frame[at]) & 0x80) != 0) {
      ++at;
    }
    return at + 1 + 2 + topic_size;
  }

  std::array<Entry, 12> entries_;
};

}  // namespace skerry::session
