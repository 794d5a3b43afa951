// A byte stream in random pieces through FrameDecoder, each frame through decode() for every
// version and direction. What is accepted must encode to bytes that decode and encode to
// themselves.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "mqtt/codec.hpp"

namespace {

using namespace skerry;
using namespace skerry::mqtt;

constexpr std::uint32_t packet_size_max = 64 * 1024;

/// What a stream becomes: its frames, then "need more" or a failure.
struct Cut {
  std::vector<std::string> frames;
  std::size_t buffered = 0;
  bool failed = false;
  Reason reason = Reason::success;

  bool operator==(const Cut&) const = default;
};

/// Feeds `chunk` from memory of its exact size; false after a failure.
bool feed(FrameDecoder& decoder, Bytes chunk, Cut& cut) {
  const std::vector<std::uint8_t> exact(chunk.begin(), chunk.end());
  decoder.feed(exact);
  for (;;) {
    const auto frame = decoder.next();
    if (!frame) {
      cut.failed = true;
      cut.buffered = 0;  // what is kept of a stream that failed depends on the pieces
      cut.reason = frame.error().reason;
      return false;
    }
    if (!*frame) {
      cut.buffered = decoder.buffered_bytes();
      return true;
    }
    cut.frames.emplace_back(as_text((*frame)->whole));
  }
}

Cut cut_at_once(Bytes stream) {
  FrameDecoder decoder(packet_size_max);
  Cut cut;
  feed(decoder, stream, cut);
  return cut;
}

Cut cut_in_pieces(Bytes stream, std::uint32_t seed) {
  FrameDecoder decoder(packet_size_max);
  Cut cut;
  std::uint32_t state = seed * 2'654'435'761u + 1;
  for (std::size_t at = 0; at < stream.size();) {
    state = state * 1'664'525u + 1'013'904'223u;
    const std::size_t wanted = 1 + (state >> 24) % (seed % 2 == 0 ? 4 : 64);
    const std::size_t piece = std::min(wanted, stream.size() - at);
    if (!feed(decoder, stream.subspan(at, piece), cut)) {
      break;
    }
    at += piece;
  }
  return cut;
}

std::string encoded(const Packet& packet, Version version) {
  std::string bytes;
  encode(packet, version, bytes);
  SKERRY_ASSERT(!bytes.empty());
  return bytes;
}

Result<Packet, Violation> decoded(const std::vector<std::uint8_t>& bytes, Version version,
                                  Sender sender) {
  FrameDecoder decoder(remaining_length_max);
  decoder.feed(bytes);
  const auto frame = decoder.next();
  SKERRY_ASSERT(frame.has_value() && frame->has_value());
  SKERRY_ASSERT((*frame)->whole.size() == bytes.size());
  return decode(**frame, version, sender);
}

void check_publish(const Packet& packet, Version version) {
  const auto* publish = std::get_if<Publish>(&packet);
  if (publish == nullptr) {
    return;
  }
  const PublishHeader header{.packet_id = publish->packet_id,
                             .qos = publish->qos,
                             .retain = publish->retain,
                             .dup = publish->dup,
                             .topic_alias = publish->topic_alias.value_or(0),
                             .topic_empty = false,
                             .message_expiry_interval = publish->properties.message_expiry_interval,
                             .subscription_identifiers = publish->subscription_identifiers};
  std::string bytes;
  encode_publish(*publish, header, version, bytes);
  SKERRY_ASSERT(bytes.size() == encoded_publish_size(*publish, header, version));
}

/// A PUBLISH that is sent on as it came is what making it anew would give, but for the order of its
/// properties; a topic that is known changes nothing.
void check_sent_on(const std::vector<std::uint8_t>& bytes, Version version, Sender sender) {
  FrameDecoder decoder(remaining_length_max);
  decoder.feed(bytes);
  const auto frame = decoder.next();
  auto publish = decode_publish(**frame, version, sender);
  if (!publish) {
    return;
  }
  SKERRY_ASSERT(decode_publish(**frame, version, sender, publish->topic).has_value());
  const PublishHeader header{.packet_id = PacketId{1},
                             .qos = publish->qos,
                             .message_expiry_interval = publish->properties.message_expiry_interval,
                             .subscription_identifiers = {}};
  std::string sent_on;
  encode_publish(*publish, header, version, sent_on);
  const auto again = decoded({sent_on.begin(), sent_on.end()}, version, Sender::client);
  SKERRY_ASSERT(again.has_value());
  publish->whole = {};
  std::string anew;
  encode_publish(*publish, header, version, anew);
  SKERRY_ASSERT(encoded(*again, version) ==
                encoded(*decoded({anew.begin(), anew.end()}, version, Sender::client), version));
}

void check_packet(const std::string& frame, Version version, Sender sender) {
  const std::vector<std::uint8_t> bytes(frame.begin(), frame.end());
  const auto first = decoded(bytes, version, sender);
  if (!first) {
    SKERRY_ASSERT(is_error(first.error().reason));
    return;
  }
  const auto* connect = std::get_if<Connect>(&*first);
  const Version spoken = connect != nullptr ? connect->version : version;
  const std::string once = encoded(*first, spoken);
  const std::vector<std::uint8_t> again(once.begin(), once.end());
  const auto second = decoded(again, spoken, sender);
  SKERRY_ASSERT(second.has_value());
  SKERRY_ASSERT(second->index() == first->index());
  SKERRY_ASSERT(encoded(*second, spoken) == once);
  check_publish(*first, version);
  if (std::holds_alternative<Publish>(*first)) {
    check_sent_on(bytes, version, sender);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const Bytes stream(data + 1, size - 1);
  const Cut cut = cut_in_pieces(stream, data[0]);
  const Cut whole = cut_at_once(stream);
  SKERRY_ASSERT(cut == whole);
  for (const std::string& frame : cut.frames) {
    for (const Version version : {Version::v3_1, Version::v3_1_1, Version::v5}) {
      check_packet(frame, version, Sender::client);
      check_packet(frame, version, Sender::server);
    }
  }
  return 0;
}
