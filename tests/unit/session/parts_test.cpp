// The small parts of a session; the whole of it is tested in a world of shards (unit/shard).
#include <doctest/doctest.h>

#include "session/acknowledgements.hpp"
#include "session/aliases.hpp"
#include "session/frame_cache.hpp"

using namespace skerry;
using session::Acknowledgements;
using session::GateId;

TEST_CASE("an answer waits for its gate and for those before it") {
  Acknowledgements answers;
  answers.push({.packet_id = mqtt::PacketId{1}, .gate = GateId{10}});
  answers.push({.packet_id = mqtt::PacketId{2}});
  answers.push({.packet_id = mqtt::PacketId{3}, .gate = GateId{11}});
  CHECK_FALSE(answers.take());
  REQUIRE(answers.open(GateId{11}) != nullptr);
  CHECK_FALSE(answers.take());
  CHECK(answers.open(GateId{99}) == nullptr);
  REQUIRE(answers.open(GateId{10}) != nullptr);
  for (const int id : {1, 2, 3}) {
    const auto answer = answers.take();
    REQUIRE(answer);
    CHECK(answer->packet_id.value == id);
  }
  CHECK(answers.empty());
}

TEST_CASE("a gate that two answers wait for is opened one by one") {
  Acknowledgements answers;
  answers.push({.packet_id = mqtt::PacketId{1}, .gate = GateId{7}});
  answers.push({.packet_id = mqtt::PacketId{1}, .gate = GateId{7}});
  CHECK(answers.open(GateId{7}) != nullptr);
  CHECK(answers.open(GateId{7}) != nullptr);
  CHECK(answers.open(GateId{7}) == nullptr);
}

TEST_CASE("topics behind aliases have a cap in bytes, each way") {
  session::InboundAliases inbound(10);
  const std::string topic(20'000, 't');
  CHECK(inbound.resolve(1, topic).has_value());
  CHECK(inbound.resolve(2, topic).has_value());
  CHECK(inbound.resolve(3, topic).has_value());
  const auto refused = inbound.resolve(4, topic);
  REQUIRE(refused.has_error());
  CHECK(refused.error().reason == mqtt::Reason::quota_exceeded);
  CHECK(inbound.resolve(1, "short").has_value());  // frees what it had
  CHECK(inbound.resolve(4, topic).has_value());
  CHECK(*inbound.resolve(4, "") == topic);

  session::OutboundAliases outbound(65'535);
  for (int i = 0; i < 3; ++i) {
    const std::string name = topic + std::to_string(i);
    CHECK(outbound.choose(name).number == i + 1);
    outbound.confirm(name);
  }
  CHECK(outbound.choose(topic).number == 0);
  CHECK(outbound.choose("t").number == 4);
  session::OutboundAliases many(65'535);
  for (int i = 0; i < 2000; ++i) {
    const std::string name = std::to_string(i);
    if (many.choose(name).number != 0) {
      many.confirm(name);
    }
  }
  CHECK(many.choose("1023").known);
  CHECK(many.choose("1024").number == 0);
}

TEST_CASE("inbound aliases are set, used, replaced and refused") {
  session::InboundAliases aliases(3);
  CHECK(aliases.resolve(0, "a").error().reason == mqtt::Reason::topic_alias_invalid);
  CHECK(aliases.resolve(4, "a").error().reason == mqtt::Reason::topic_alias_invalid);
  CHECK(aliases.resolve(2, "").error().reason == mqtt::Reason::protocol_error);
  CHECK(*aliases.resolve(2, "a/b") == "a/b");
  CHECK(*aliases.resolve(2, "") == "a/b");
  CHECK(*aliases.resolve(2, "c") == "c");
  CHECK(*aliases.resolve(2, "") == "c");
  CHECK(aliases.resolve(3, "").error().reason == mqtt::Reason::protocol_error);
}

TEST_CASE("outbound aliases go to the first topics, up to the client's maximum") {
  session::OutboundAliases aliases(2);
  CHECK(aliases.choose("a").number == 1);
  CHECK_FALSE(aliases.choose("a").known);  // until the packet that teaches it has gone out
  aliases.confirm("a");
  CHECK(aliases.choose("a").known);
  CHECK(aliases.choose("b").number == 2);
  aliases.confirm("b");
  CHECK(aliases.choose("c").number == 0);
  CHECK(aliases.choose("b").number == 2);
}

TEST_CASE("a cached frame is what encoding anew would give, but for the packet id") {
  session::FrameCache cache;
  for (const std::size_t size : {0u, 1u, 100u, 127u, 128u, 20'000u}) {
    const std::string payload(size, 'x');
    const mqtt::Publish publish{.topic = "a/topic", .payload = as_bytes(payload)};
    cache.begin();
    for (const auto version : {mqtt::Version::v3_1_1, mqtt::Version::v5}) {
      for (const auto qos : {mqtt::Qos::at_most_once, mqtt::Qos::at_least_once}) {
        for (const int id : {1, 0x1234, 0xffff}) {
          const mqtt::PublishHeader header{.packet_id = mqtt::PacketId{static_cast<std::uint16_t>(
                                               qos == mqtt::Qos::at_most_once ? 0 : id)},
                                           .qos = qos,
                                           .retain = id == 1};
          std::string cached = "before";
          std::string fresh = "before";
          cache.append(publish, header, version, cached);
          mqtt::encode_publish(publish, header, version, fresh);
          CHECK(cached == fresh);
        }
      }
    }
  }
}
