// Blocks of messages: what is kept, what is sent, what is stored, and who frees them.
#include "mqtt/message.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "mqtt/codec.hpp"

using namespace skerry;
using namespace skerry::mqtt;
using namespace std::chrono_literals;

namespace {

constexpr WallTime start = WallTime{1'700'000'000'000ms};

// Two user properties "k"="v" and "k"="w" in wire form.
const std::string user_section = std::string("\x26\0\1k\0\1v\x26\0\1k\0\1w", 14);

Publish rich_publish() {
  Publish publish;
  publish.topic = "devices/a/telemetry";
  publish.payload = as_bytes("{\"temperature\":21.5}");
  publish.qos = Qos::exactly_once;
  publish.retain = true;
  publish.properties.payload_format_indicator = 1;
  publish.properties.message_expiry_interval = 60;
  publish.properties.content_type = "application/json";
  publish.properties.response_topic = "answers/a";
  publish.properties.correlation_data = as_bytes(std::string_view("c\0d", 3));
  publish.properties.user_properties = UserProperties(as_bytes(user_section), 2);
  return publish;
}

std::string joined(const UserProperties& properties) {
  std::string text;
  properties.for_each([&text](const UserProperty& each) {
    text.append(each.name).append("=").append(each.value).append(";");
  });
  return text;
}

void check_rich(const MessageBlock& block) {
  const Publish expected = rich_publish();
  const Publish shown = block.view();
  CHECK(shown.topic == expected.topic);
  CHECK(as_text(shown.payload) == as_text(expected.payload));
  CHECK(shown.qos == Qos::exactly_once);
  CHECK(shown.retain);
  CHECK(shown.properties.payload_format_indicator == 1);
  CHECK_FALSE(shown.properties.message_expiry_interval.has_value());
  CHECK(shown.properties.content_type == "application/json");
  CHECK(shown.properties.response_topic == "answers/a");
  CHECK(as_text(*shown.properties.correlation_data) ==
        as_text(*expected.properties.correlation_data));
  CHECK(joined(shown.properties.user_properties) == "k=v;k=w;");
  CHECK(block.expires_at() == start + 60s);
}

/// Decodes one frame that must be the whole of `wire`.
Publish decoded(const std::string& wire, Version version, FrameDecoder& decoder) {
  decoder.feed(as_bytes(wire));
  const auto frame = decoder.next();
  REQUIRE(frame.has_value());
  REQUIRE(frame->has_value());
  REQUIRE((*frame)->whole.size() == wire.size());
  const auto publish = decode_publish(**frame, version, Sender::server);
  REQUIRE(publish.has_value());
  return *publish;
}

std::string encoded(const MessageBlock& block, const PublishHeader& header, Version version,
                    WallTime now) {
  std::string wire;
  encode_message(block, header, version, now, wire);
  CHECK(wire.size() == encoded_message_size(block, header, version));
  return wire;
}

}  // namespace

TEST_CASE("a block shows what was published, without what belongs to the connection") {
  Publish publish = rich_publish();
  publish.topic_alias = 7;
  publish.subscription_identifiers = {1, 2};
  const BlockPtr block = make_block(publish, start);
  check_rich(*block);
  CHECK_FALSE(block->view().topic_alias.has_value());
  CHECK(block->view().subscription_identifiers.empty());
  CHECK(block->size_bytes() > publish.topic.size() + publish.payload.size());
}

TEST_CASE("a message without properties costs one byte of them") {
  Publish publish;
  publish.topic = "t";
  const BlockPtr block = make_block(publish, start);
  CHECK(block->properties().empty());
  CHECK(block->payload().empty());
  CHECK(block->expires_at() == WallTime::max());
  CHECK_FALSE(block->expired(start));
  CHECK(encoded(*block, {}, Version::v5, start) == std::string("\x30\4\0\1t\0", 6));
  CHECK(encoded(*block, {}, Version::v3_1_1, start) == std::string("\x30\3\0\1t", 5));
}

TEST_CASE("what is sent decodes to what was published") {
  const BlockPtr block = make_block(rich_publish(), start);
  const std::vector<std::uint32_t> identifiers = {1, 300, 268'435'455};
  const PublishHeader header{.packet_id = PacketId{77},
                             .qos = Qos::at_least_once,
                             .retain = true,
                             .dup = true,
                             .topic_alias = 9,
                             .topic_empty = false,
                             .message_expiry_interval = std::nullopt,
                             .subscription_identifiers = identifiers};
  FrameDecoder decoder(1'000'000);
  const std::string wire = encoded(*block, header, Version::v5, start + 10s);
  const Publish publish = decoded(wire, Version::v5, decoder);
  CHECK(publish.topic == "devices/a/telemetry");
  CHECK(publish.packet_id == PacketId{77});
  CHECK(publish.qos == Qos::at_least_once);
  CHECK(publish.retain);
  CHECK(publish.dup);
  CHECK(publish.topic_alias == 9);
  CHECK(publish.subscription_identifiers == identifiers);
  CHECK(publish.properties.message_expiry_interval == 50);
  CHECK(publish.properties.content_type == "application/json");
  CHECK(publish.properties.response_topic == "answers/a");
  CHECK(joined(publish.properties.user_properties) == "k=v;k=w;");
  CHECK(as_text(publish.payload) == "{\"temperature\":21.5}");
}

TEST_CASE("older versions get neither properties nor an empty topic") {
  const BlockPtr block = make_block(rich_publish(), start);
  const PublishHeader header{.packet_id = PacketId{1},
                             .qos = Qos::exactly_once,
                             .retain = false,
                             .dup = false,
                             .topic_alias = 9,
                             .topic_empty = true,
                             .message_expiry_interval = 5,
                             .subscription_identifiers = {}};
  for (const Version version : {Version::v3_1, Version::v3_1_1}) {
    FrameDecoder decoder(1'000'000);
    const std::string wire = encoded(*block, header, version, start);
    const Publish publish = decoded(wire, version, decoder);
    CHECK(publish.topic == "devices/a/telemetry");
    CHECK(publish.properties.empty());
    CHECK(as_text(publish.payload) == "{\"temperature\":21.5}");
  }
}

TEST_CASE("with an alias the topic may stay away") {
  const BlockPtr block = make_block(rich_publish(), start);
  PublishHeader header;
  header.topic_alias = 3;
  header.topic_empty = true;
  FrameDecoder decoder(1'000'000);
  const std::string wire = encoded(*block, header, Version::v5, start);
  const Publish publish = decoded(wire, Version::v5, decoder);
  CHECK(publish.topic.empty());
  CHECK(publish.topic_alias == 3);
}

TEST_CASE("DUP is never set at QoS 0") {
  const BlockPtr block = make_block(rich_publish(), start);
  PublishHeader header;
  header.dup = true;
  CHECK(encoded(*block, header, Version::v5, start)[0] == '\x30');
}

TEST_CASE("the expiry shrinks by whole seconds of waiting") {
  const BlockPtr block = make_block(rich_publish(), start);  // 60 seconds
  const auto interval_at = [&](Milliseconds waited, std::optional<std::uint32_t> named) {
    PublishHeader header;
    header.message_expiry_interval = named;
    FrameDecoder decoder(1'000'000);
    const std::string wire = encoded(*block, header, Version::v5, start + waited);
    return decoded(wire, Version::v5, decoder).properties.message_expiry_interval;
  };
  CHECK(interval_at(0ms, std::nullopt) == 60);
  CHECK(interval_at(999ms, std::nullopt) == 60);
  CHECK(interval_at(1000ms, std::nullopt) == 59);
  CHECK(interval_at(59'000ms, std::nullopt) == 1);
  CHECK(interval_at(59'999ms, std::nullopt) == 1);
  CHECK(interval_at(60'000ms, std::nullopt) == 0);
  CHECK(interval_at(90'000ms, std::nullopt) == 0);
  CHECK(interval_at(-5'000ms, std::nullopt) == 65);  // the wall clock was set back
  CHECK(interval_at(0ms, 7) == 7);
  CHECK_FALSE(block->expired(start + 59'999ms));
  CHECK(block->expired(start + 60s));
}

TEST_CASE("the longest expiry fits") {
  Publish publish = rich_publish();
  publish.properties.message_expiry_interval = 0xFFFFFFFF;
  const BlockPtr block = make_block(publish, start);
  FrameDecoder decoder(1'000'000);
  const std::string wire = encoded(*block, {}, Version::v5, start - 10s);
  CHECK(decoded(wire, Version::v5, decoder).properties.message_expiry_interval == 0xFFFFFFFF);
  publish.properties.message_expiry_interval = 0;
  CHECK(make_block(publish, start)->expired(start));
}

TEST_CASE("sizes agree at every border of a variable byte integer") {
  const std::string long_text(70'000, 'x');
  for (const std::size_t size : {0u, 1u, 90u, 100u, 118u, 119u, 120u, 121u, 122u, 125u, 127u, 128u,
                                 129u, 16'370u, 16'380u, 16'384u, 65'535u}) {
    Publish publish;
    publish.topic = "topic";
    publish.properties.content_type = std::string_view(long_text).substr(0, size);
    publish.payload = as_bytes(std::string_view(long_text).substr(0, size));
    const BlockPtr block = make_block(publish, start);
    CHECK(block->view().properties.content_type == publish.properties.content_type);
    FrameDecoder decoder(1'000'000);
    const std::string wire = encoded(*block, {}, Version::v5, start);
    const Publish sent = decoded(wire, Version::v5, decoder);
    CHECK(sent.properties.content_type == publish.properties.content_type);
    CHECK(sent.payload.size() == size);
    std::string record;
    encode_record(*block, record);
    std::string_view rest = record;
    const BlockPtr read = decode_record(rest);
    REQUIRE(read);
    CHECK(rest.empty());
    CHECK(as_text(read->properties()) == as_text(block->properties()));
    CHECK(as_text(read->payload()) == as_text(block->payload()));
  }
}

TEST_CASE("a record gives the block back and leaves what follows it") {
  std::string record;
  encode_record(*make_block(rich_publish(), start), record);
  CHECK(record[0] == '\1');
  Publish plain;
  plain.topic = "b";
  encode_record(*make_block(plain, start), record);
  record += "tail";
  std::string_view rest = record;
  const BlockPtr first = decode_record(rest);
  REQUIRE(first);
  check_rich(*first);
  const BlockPtr second = decode_record(rest);
  REQUIRE(second);
  CHECK(second->topic() == "b");
  CHECK(second->qos() == Qos::at_most_once);
  CHECK_FALSE(second->retain());
  CHECK(second->expires_at() == WallTime::max());
  CHECK(rest == "tail");
}

TEST_CASE("a record cut at any byte is refused and left alone") {
  std::string record;
  encode_record(*make_block(rich_publish(), start), record);
  for (std::size_t size = 0; size < record.size(); ++size) {
    const std::string cut = record.substr(0, size);  // its own memory, so that ASan sees overreads
    std::string_view rest = cut;
    CHECK_FALSE(decode_record(rest));
    CHECK(rest.size() == size);
  }
}

TEST_CASE("a flipped bit in the header of a record is refused") {
  std::string record;
  encode_record(*make_block(rich_publish(), start), record);
  for (std::size_t bit = 0; bit < 24 * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    std::string_view rest = damaged;
    CHECK_FALSE(decode_record(rest));
  }
}

TEST_CASE("a flipped bit behind the header never gives a message that cannot be sent") {
  std::string record;
  encode_record(*make_block(rich_publish(), start), record);
  for (std::size_t bit = 24 * 8; bit < record.size() * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    std::string_view rest = damaged;
    if (const BlockPtr block = decode_record(rest)) {
      FrameDecoder decoder(1'000'000);
      const std::string wire = encoded(*block, {}, Version::v5, start);
      CHECK(decoded(wire, Version::v5, decoder).topic == block->topic());
    }
  }
}

TEST_CASE("a block lives until the last of its owners on any thread") {
  BlockPtr block = make_block(rich_publish(), start);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([copy = block] {
      for (int n = 0; n < 10'000; ++n) {
        BlockPtr other = copy;
        BlockPtr moved = std::move(other);
        if (moved->topic().size() != 19) {
          std::abort();
        }
      }
    });
  }
  block = BlockPtr();
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK_FALSE(block);
}

TEST_CASE("handles of one core share the block and let it go together") {
  MessagePtr empty;
  CHECK_FALSE(empty);
  MessagePtr first{make_block(rich_publish(), start)};
  MessagePtr second = first;
  const MessageBlock* address = first.block().get();
  first = MessagePtr();
  CHECK(second.block().get() == address);
  CHECK(second->topic() == "devices/a/telemetry");
  MessagePtr third = std::move(second);
  second = third;
  third = second;
  CHECK((*third).topic() == "devices/a/telemetry");
}
