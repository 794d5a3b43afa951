// MessageBlock: how blocks are built, sent and stored. What belongs to one delivery (packet id,
// alias, remaining expiry, subscription identifiers) is written around bytes that are copied as
// they are.
//
// Record: a header of 24 bytes, integers big-endian, then the block's bytes.
//   version 1 | flags (bits 0–1 QoS, 2 retain, 3 expires) | topic bytes: 2 | property bytes with
//   their length: 4 | payload bytes: 4 | expiry, epoch milliseconds or 0: 8 | check of all this: 4
#include "mqtt/message.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "base/assert.hpp"
#include "base/byte_order.hpp"
#include "base/keyed_hash.hpp"
#include "base/limits.hpp"
#include "mqtt/decode_parts.hpp"
#include "mqtt/properties.hpp"
#include "mqtt/topic.hpp"
#include "mqtt/wire_writer.hpp"

namespace skerry::mqtt {
namespace {

constexpr std::uint8_t record_version = 1;
constexpr std::size_t record_checked_bytes = 20;
constexpr std::size_t record_header_bytes = record_checked_bytes + 4;
constexpr std::uint8_t flag_retain = 0x04;
constexpr std::uint8_t flag_expires = 0x08;
constexpr std::uint8_t flags_known = 0x0F;

/// Sizes and header fields of a block that is to be made.
struct BlockForm {
  std::size_t topic_size = 0;
  std::size_t prefix_size = 0;
  std::size_t properties_size = 0;
  std::size_t payload_size = 0;
  WallTime expires_at = WallTime::max();
  Qos qos = Qos::at_most_once;
  bool retain = false;
};

/// Reads a property section with its length into `properties`. False when it holds what a stored
/// message cannot have. Views point into `section`.
bool read_section(Bytes section, MessageProperties& properties) noexcept {
  WireReader reader(section);
  PropertyWalk walk(reader, PropertyPlace::publish);
  Property property;
  while (walk.next(property)) {
    if (property.identifier == property::message_expiry_interval ||
        !read_message_property(reader, property, properties)) {
      return false;
    }
  }
  properties.user_properties = walk.user_properties();
  return reader.ok() && reader.left() == 0;
}

/// The record's header detects its own damage: a length with a flipped bit must not cut the record,
/// and all that follow it, at another place. Fixed key: this is a checksum, not a defence.
std::uint32_t record_check(std::string_view header) noexcept {
  return static_cast<std::uint32_t>(keyed_hash(HashKey{}, header.substr(0, record_checked_bytes)));
}

/// Whole seconds left, rounded up: waiting counts once a second of it is over, and what has not
/// expired never shows 0 [MQTT-3.3.2-6].
std::uint32_t seconds_left(WallTime expires_at, WallTime now) noexcept {
  const std::int64_t left = epoch_milliseconds(expires_at) - epoch_milliseconds(now);
  const std::int64_t seconds = left <= 0 ? 0 : (left - 1) / 1000 + 1;
  return static_cast<std::uint32_t>(
      std::min<std::int64_t>(seconds, std::numeric_limits<std::uint32_t>::max()));
}

/// Bytes of the properties that belong to this delivery alone.
std::size_t delivery_properties_size(const PublishHeader& header, bool expires) noexcept {
  std::size_t size = (expires ? 5u : 0u) + (header.topic_alias != 0 ? 3u : 0u);
  for (const std::uint32_t identifier : header.subscription_identifiers) {
    size += 1 + variable_byte_integer_size(identifier);
  }
  return size;
}

/// The lengths in one encoded PUBLISH.
struct MessageSize {
  std::size_t topic = 0;
  std::size_t properties = 0;  ///< the Property Length; only in 5.0
  std::size_t remaining = 0;   ///< the Remaining Length
  bool expires = false;        ///< a Message Expiry Interval is among the properties

  std::size_t whole() const noexcept {
    return 1 + variable_byte_integer_size(remaining) + remaining;
  }
};

MessageSize size_of(const MessageBlock& block, const PublishHeader& header,
                    Version version) noexcept {
  const bool five = version == Version::v5;
  MessageSize size;
  size.topic =
      five && header.topic_empty ? 0 : block.topic().size();  // an alias exists in 5.0 only
  size.remaining = 2 + size.topic + block.payload().size();
  if (header.qos != Qos::at_most_once) {  // [MQTT-2.2.1-2]
    size.remaining += 2;
  }
  if (five) {
    size.expires = header.message_expiry_interval || block.expires_at() != WallTime::max();
    size.properties = block.properties().size() + delivery_properties_size(header, size.expires);
    size.remaining += variable_byte_integer_size(size.properties) + size.properties;
  }
  return size;
}

void put_delivery_properties(WriteSink& sink, const PublishHeader& header,
                             std::optional<std::uint32_t> expiry) noexcept {
  put_four_bytes(sink, property::message_expiry_interval, expiry);
  if (header.topic_alias != 0) {
    sink.byte(property::topic_alias);
    sink.two_bytes(header.topic_alias);
  }
  for (const std::uint32_t identifier : header.subscription_identifiers) {
    sink.byte(property::subscription_identifier);
    sink.variable_byte_integer(identifier);
  }
}

std::uint8_t publish_first_byte(const PublishHeader& header) noexcept {
  const bool dup = header.dup && header.qos != Qos::at_most_once;  // [MQTT-3.3.1-2]
  return first_byte_of(PacketType::publish, (dup ? 0x08u : 0u) |
                                                (static_cast<unsigned>(header.qos) << 1) |
                                                (header.retain ? 0x01u : 0u));
}

}  // namespace

/// The only one who sees the bytes of a block as writable, and only before it is shared.
class BlockMaker {
 public:
  static MessageBlock* make(const BlockForm& form) {
    SKERRY_ASSERT(form.topic_size <= 0xFFFF && form.properties_size <= remaining_length_max &&
                  form.payload_size <= remaining_length_max);
    const std::size_t content =
        form.topic_size + form.prefix_size + form.properties_size + form.payload_size;
    auto* block = new (::operator new(sizeof(MessageBlock) + content)) MessageBlock();
    block->topic_size_ = static_cast<std::uint32_t>(form.topic_size);
    block->prefix_size_ = static_cast<std::uint8_t>(form.prefix_size);
    block->properties_size_ = static_cast<std::uint32_t>(form.properties_size);
    block->payload_size_ = static_cast<std::uint32_t>(form.payload_size);
    block->expires_at_ = form.expires_at;
    block->qos_ = form.qos;
    block->retain_ = form.retain;
    return block;
  }

  static char* bytes(MessageBlock& block) noexcept { return reinterpret_cast<char*>(&block + 1); }

  /// Everything behind the header.
  static std::string_view content(const MessageBlock& block) noexcept {
    return {block.bytes(), block.content_size()};
  }

  /// The properties with their length.
  static Bytes section(const MessageBlock& block) noexcept {
    return as_bytes({block.bytes() + block.topic_size_,
                     std::size_t{block.prefix_size_} + block.properties_size_});
  }
};

void BlockPtr::free_block(const MessageBlock* block) noexcept {
  auto* gone = const_cast<MessageBlock*>(block);
  gone->~MessageBlock();
  ::operator delete(static_cast<void*>(gone));
}

Publish MessageBlock::view() const {
  Publish publish;
  publish.topic = topic();
  publish.payload = payload();
  publish.qos = qos_;
  publish.retain = retain_;
  if (properties_size_ != 0) {
    const bool readable = read_section(BlockMaker::section(*this), publish.properties);
    SKERRY_ASSERT(readable);  // written by make_block, or checked by decode_record
  }
  return publish;
}

BlockPtr make_block(const Publish& publish, WallTime now) {
  SizeSink measure;
  put_message_properties(measure, publish.properties, std::nullopt);
  BlockForm form{.topic_size = publish.topic.size(),
                 .prefix_size = variable_byte_integer_size(measure.size()),
                 .properties_size = measure.size(),
                 .payload_size = publish.payload.size(),
                 .expires_at = WallTime::max(),
                 .qos = publish.qos,
                 .retain = publish.retain};
  if (publish.properties.message_expiry_interval) {
    form.expires_at = now + Seconds{*publish.properties.message_expiry_interval};
  }
  MessageBlock* block = BlockMaker::make(form);
  WriteSink sink(BlockMaker::bytes(*block));
  sink.raw(as_bytes(publish.topic));
  sink.variable_byte_integer(static_cast<std::uint32_t>(form.properties_size));
  put_message_properties(sink, publish.properties, std::nullopt);
  sink.raw(publish.payload);
  return BlockPtr(block);
}

void encode_message(const MessageBlock& block, const PublishHeader& header, Version version,
                    WallTime now, std::string& out) {
  const MessageSize size = size_of(block, header, version);
  if (size.remaining > remaining_length_max) {
    return;
  }
  const Bytes payload = block.payload();
  const std::size_t start = out.size();
  out.reserve(start + size.whole());  // grows by doubling, and the payload is not zeroed first
  out.resize(start + size.whole() - payload.size());
  WriteSink sink(out.data() + start);
  sink.byte(publish_first_byte(header));
  sink.variable_byte_integer(static_cast<std::uint32_t>(size.remaining));
  sink.text(block.topic().substr(0, size.topic));
  if (header.qos != Qos::at_most_once) {
    sink.two_bytes(header.packet_id.value);
  }
  if (version == Version::v5) {  // [MQTT-2.2.2-1]
    sink.variable_byte_integer(static_cast<std::uint32_t>(size.properties));
    std::optional<std::uint32_t> expiry = header.message_expiry_interval;
    if (size.expires && !expiry) {
      expiry = seconds_left(block.expires_at(), now);
    }
    put_delivery_properties(sink, header, expiry);
    sink.raw(block.properties());
  }
  SKERRY_ASSERT(sink.position() == out.data() + out.size());
  out.append(as_text(payload));
}

std::size_t encoded_message_size(const MessageBlock& block, const PublishHeader& header,
                                 Version version) noexcept {
  const MessageSize size = size_of(block, header, version);
  return size.remaining > remaining_length_max ? 0 : size.whole();
}

void encode_record(const MessageBlock& block, std::string& out) {
  const bool expires = block.expires_at() != WallTime::max();
  const std::size_t start = out.size();
  out.reserve(start + record_header_bytes + BlockMaker::content(block).size());
  out.push_back(static_cast<char>(record_version));
  out.push_back(static_cast<char>(static_cast<unsigned>(block.qos()) |
                                  (block.retain() ? flag_retain : 0u) |
                                  (expires ? flag_expires : 0u)));
  append_big_endian(out, static_cast<std::uint16_t>(block.topic().size()));
  append_big_endian(out, static_cast<std::uint32_t>(BlockMaker::section(block).size()));
  append_big_endian(out, static_cast<std::uint32_t>(block.payload().size()));
  append_big_endian(out, expires ? epoch_milliseconds(block.expires_at()) : std::int64_t{0});
  append_big_endian(out, record_check(std::string_view(out).substr(start)));
  out.append(BlockMaker::content(block));
}

BlockPtr decode_record(std::string_view& in) {
  if (in.size() < record_header_bytes || static_cast<std::uint8_t>(in[0]) != record_version ||
      read_big_endian<std::uint32_t>(in.substr(record_checked_bytes)) != record_check(in)) {
    return {};
  }
  const auto flags = static_cast<std::uint8_t>(in[1]);
  const std::size_t topic_size = read_big_endian<std::uint16_t>(in.substr(2));
  const std::size_t section_size = read_big_endian<std::uint32_t>(in.substr(4));
  const std::size_t payload_size = read_big_endian<std::uint32_t>(in.substr(8));
  const std::int64_t expires_at = read_big_endian<std::int64_t>(in.substr(12));
  const std::string_view content = in.substr(record_header_bytes);
  if (expires_at < 0 || (flags & ~flags_known) != 0 || (flags & 0x03) == 3 ||
      payload_size > remaining_length_max || section_size > remaining_length_max ||
      content.size() < topic_size + section_size + payload_size) {
    return {};
  }
  const std::string_view topic = content.substr(0, topic_size);
  const Bytes section = as_bytes(content.substr(topic_size, section_size));
  MessageProperties properties;
  if (!is_valid_topic_name(topic) || !is_valid_utf8(topic) || !read_section(section, properties)) {
    return {};
  }
  BlockForm form{.topic_size = topic_size,
                 .prefix_size = 1,
                 .properties_size = section_size - 1,
                 .payload_size = payload_size,
                 .expires_at = WallTime::max(),
                 .qos = static_cast<Qos>(flags & 0x03),
                 .retain = (flags & flag_retain) != 0};
  while (form.prefix_size < variable_byte_integer_size(form.properties_size)) {
    ++form.prefix_size;
    --form.properties_size;
  }
  if ((flags & flag_expires) != 0) {
    form.expires_at = wall_from_epoch(expires_at);
  }
  MessageBlock* block = BlockMaker::make(form);
  std::memcpy(BlockMaker::bytes(*block), content.data(), topic_size + section_size + payload_size);
  in.remove_prefix(record_header_bytes + topic_size + section_size + payload_size);
  return BlockPtr(block);
}

}  // namespace skerry::mqtt
