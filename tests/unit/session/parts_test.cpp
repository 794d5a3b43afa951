// The parts of a session that stand alone: answers in their order, aliases, the cache of frames.
#include <doctest/doctest.h>

#include "session/acknowledgements.hpp"
#include "session/aliases.hpp"
#include "session/frame_cache.hpp"

using namespace skerry;
using namespace skerry::session;

namespace {

Acknowledgement answer(std::uint16_t id, std::uint64_t gate) {
  return {.packet_id = {id}, .gate = GateId{gate}};
}

}  // namespace

TEST_CASE("answers leave from the front only, and only through an open gate") {
  Acknowledgements waiting;
  waiting.push(answer(1, 7));
  waiting.push(answer(2, 0));
  waiting.push(answer(3, 8));
  CHECK_FALSE(waiting.take().has_value());
  CHECK(waiting.open(GateId{8}) != nullptr);
  CHECK_FALSE(waiting.take().has_value());
  CHECK(waiting.open(GateId{9}) == nullptr);
  CHECK(waiting.open(GateId{7})->packet_id.value == 1);
  for (const std::uint16_t id : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3}}) {
    CHECK(waiting.take()->packet_id.value == id);
  }
  CHECK(waiting.empty());
}

TEST_CASE("a gate that two answers wait for is opened one by one") {
  Acknowledgements waiting;
  waiting.push(answer(1, 7));
  waiting.push(answer(1, 7));
  CHECK(waiting.open(GateId{7}) != waiting.open(GateId{7}));
  CHECK(waiting.open(GateId{7}) == nullptr);
}

TEST_CASE("inbound aliases: 1 to the maximum, set before they are used, set again") {
  InboundAliases aliases(2);
  CHECK(aliases.resolve(0, "t").error().reason == mqtt::Reason::topic_alias_invalid);
  CHECK(aliases.resolve(3, "t").error().reason == mqtt::Reason::topic_alias_invalid);
  CHECK(aliases.resolve(2, "").error().reason == mqtt::Reason::protocol_error);
  CHECK(*aliases.resolve(2, "t") == "t");
  CHECK(*aliases.resolve(2, "") == "t");
  CHECK(*aliases.resolve(2, "u") == "u");
  CHECK(*aliases.resolve(2, "") == "u");
  CHECK(aliases.resolve(1, "").error().reason == mqtt::Reason::protocol_error);
}

TEST_CASE("outbound aliases are known once confirmed and never above the maximum") {
  OutboundAliases aliases(1);
  CHECK(aliases.choose("t").number == 1);
  CHECK_FALSE(aliases.choose("t").known);
  CHECK(aliases.choose("u").number == 1);  // nothing was confirmed yet
  aliases.confirm("u");
  CHECK(aliases.choose("u").known);
  CHECK(aliases.choose("t").number == 0);
}

TEST_CASE("cached frames equal those that are encoded each time") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{200}, std::size_t{20'000}}) {
    const std::string payload(size, 'x');
    mqtt::Publish publish;
    publish.topic = "a/b";
    publish.payload = as_bytes(payload);
    FrameCache cache;
    for (int round = 0; round < 2; ++round) {
      cache.begin();
      for (const mqtt::Version version : {mqtt::Version::v3_1_1, mqtt::Version::v5}) {
        for (const int qos : {0, 1, 2}) {
          for (const std::uint16_t id : {std::uint16_t{1}, std::uint16_t{0xfffe}}) {
            mqtt::PublishHeader header;
            header.qos = static_cast<mqtt::Qos>(qos);
            header.retain = id == 1;
            header.packet_id.value = qos == 0 ? std::uint16_t{0} : id;
            std::string cached = "before";
            std::string encoded = "before";
            cache.append(publish, header, version, cached);
            mqtt::encode_publish(publish, header, version, encoded);
            CHECK(cached == encoded);
          }
        }
      }
      publish.topic = "another";
    }
  }
}
