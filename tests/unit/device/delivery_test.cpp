// What is sent next and what becomes of it, over a link that a test plays.
#include "device/delivery.hpp"

#include <doctest/doctest.h>

#include "unit/device/scratch.hpp"

using namespace skerry;
using namespace skerry::agent;
using namespace std::chrono_literals;

namespace {

constexpr int payload_format_invalid = 0x99;
constexpr int quota_exceeded = 0x97;

struct Sent {
  std::uint64_t serial = 0;
  OutgoingMessage message;
  int qos = 0;
};

class Stage {
 public:
  explicit Stage(std::size_t rows, std::size_t alarms = 0) {
    for (std::size_t row = 0; row < rows; ++row) {
      say(static_cast<std::int64_t>(row));
    }
    for (std::size_t number = 0; number < alarms; ++number) {
      spool.append(Urgency::alarm, alarm_record({"a" + std::to_string(number), "info", "", ""}),
                   time);
    }
  }

  void say(std::int64_t value) {
    spool.append(Urgency::telemetry, telemetry_record({{"n", Value{value}}}), time);
  }
  void pump() { delivery.pump(time, now); }
  std::uint64_t last() const { return sent.back().serial; }
  std::uint64_t waiting() const {
    return spool.queue(Urgency::telemetry).pending() + spool.queue(Urgency::alarm).pending();
  }
  void refuse(int reason, std::uint64_t random = 500) {
    delivery.undelivered(last(), reason, now, random);
  }

  Scratch scratch;
  SpoolTime time{wall_from_epoch(1'732'536'000'000), 60s};
  SteadyTime now{1h};
  Spool spool{{scratch.path("spool"), {}}};
  std::vector<Sent> sent;
  Delivery delivery{spool, "d",
                    [this](std::uint64_t serial, const OutgoingMessage& message, int qos) {
                      sent.push_back({serial, message, qos});
                    }};
};

TEST_CASE("nothing is sent without a link, and one message at a time with it") {
  Stage stage{250};
  stage.pump();
  CHECK(stage.sent.empty());
  stage.delivery.link_up(false);
  stage.pump();
  stage.pump();
  REQUIRE(stage.sent.size() == 1);
  CHECK(stage.sent[0].message.records == 100);
  CHECK(stage.sent[0].qos == 1);
  CHECK(stage.waiting() == 250);
  stage.delivery.delivered(stage.last());
  CHECK(stage.waiting() == 150);
  CHECK(stage.delivery.counters().records == 100);
}

TEST_CASE("alarms go first and alone, at QoS 2, also before telemetry that waits longer") {
  Stage stage{3, 2};
  stage.delivery.link_up(false);
  std::vector<std::string> topics;
  for (stage.pump(); stage.delivery.on_its_way(); stage.pump()) {
    topics.push_back(stage.sent.back().message.topic);
    CHECK(stage.sent.back().qos == (topics.size() <= 2 ? 2 : 1));
    stage.delivery.delivered(stage.last());
  }
  CHECK(topics == std::vector<std::string>{"devices/d/events/a0", "devices/d/events/a1",
                                           "devices/d/telemetry"});
}

TEST_CASE("over a lost connection with its session kept nothing is sent twice") {
  Stage stage{0, 2};
  stage.delivery.link_up(false);
  stage.pump();
  stage.delivery.link_down();
  stage.delivery.link_up(true);
  stage.pump();
  CHECK(stage.sent.size() == 1);
  stage.delivery.delivered(stage.last());
  CHECK(stage.waiting() == 1);
}

TEST_CASE(
    "when the gateway has no session any more it is sent again, and the late answer is nobody's") {
  Stage stage{0, 2};
  stage.delivery.link_up(false);
  stage.pump();
  const std::uint64_t first = stage.last();
  stage.delivery.link_down();
  stage.delivery.link_up(false);
  stage.pump();
  REQUIRE(stage.sent.size() == 2);
  CHECK(stage.sent[1].message.topic == stage.sent[0].message.topic);
  stage.delivery.undelivered(first, 0, stage.now, 0);
  stage.delivery.delivered(first);
  CHECK(stage.delivery.on_its_way());
  CHECK(stage.waiting() == 2);
  stage.delivery.delivered(stage.last());
  CHECK(stage.waiting() == 1);
}

TEST_CASE("a release that the gateway knows nothing of any more has arrived") {
  Stage stage{0, 2};
  stage.delivery.link_up(false);
  stage.pump();
  stage.delivery.link_down();
  stage.delivery.link_up(true);
  stage.refuse(0x92);
  CHECK(stage.waiting() == 1);
  stage.pump();
  CHECK(stage.sent.back().message.topic == "devices/d/events/a1");
  CHECK(stage.delivery.counters().repeated == 0);
}

TEST_CASE(
    "a batch that is refused for good goes one by one, and only what is refused again is lost") {
  Stage stage{5};
  stage.delivery.link_up(false);
  stage.pump();
  stage.refuse(payload_format_invalid);
  CHECK(stage.waiting() == 5);
  for (int row = 0; row < 5; ++row) {
    stage.pump();
    REQUIRE(stage.sent.back().message.records == 1);
    if (row == 2) {
      stage.refuse(payload_format_invalid);
    } else {
      stage.delivery.delivered(stage.last());
    }
  }
  CHECK(stage.waiting() == 0);
  CHECK(stage.spool.queue(Urgency::telemetry).losses().refused == 1);
  CHECK(stage.delivery.counters().records == 4);
  stage.say(6);
  stage.say(7);
  stage.pump();
  CHECK(stage.sent.back().message.records == 2);
}

TEST_CASE("what is refused for now is held back and sent again, nothing overtakes it") {
  Stage stage{1};
  stage.delivery.link_up(false);
  stage.pump();
  stage.refuse(quota_exceeded, 700);
  REQUIRE(stage.delivery.held_until());
  CHECK(*stage.delivery.held_until() == stage.now + 700ms);
  stage.pump();
  CHECK(stage.sent.size() == 1);
  stage.now += 700ms;
  stage.pump();
  REQUIRE(stage.sent.size() == 2);
  CHECK(stage.sent[1].message.payload == stage.sent[0].message.payload);
  CHECK(stage.spool.queue(Urgency::telemetry).losses().total() == 0);
}

TEST_CASE("records that nobody can have written are given up, and the rest goes on") {
  Stage stage{0};
  stage.spool.append(Urgency::alarm, "no alarm", stage.time);
  stage.spool.append(Urgency::telemetry, "x", stage.time);
  stage.say(1);
  stage.delivery.link_up(false);
  stage.pump();
  REQUIRE(stage.sent.size() == 1);
  CHECK(stage.sent[0].message.payload == R"([{"ts":1732536000000,"values":{"n":1}}])");
  CHECK(stage.spool.queue(Urgency::alarm).losses().refused == 1);
  CHECK(stage.spool.queue(Urgency::telemetry).losses().refused == 1);
}

}  // namespace
