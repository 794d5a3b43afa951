// What a client may send in a second, and what happens when it sends more.
#include <doctest/doctest.h>

#include "unit/shard/world.hpp"

using namespace skerry;
using namespace skerry::shard::test;
using mqtt::Version;

namespace {

struct Talker {
  explicit Talker(RateLimits rates, std::uint16_t keep_alive = 0, Version version = Version::v5)
      : client(world.client("talker", 0, version)) {
    client.connect({.keep_alive = keep_alive, .rates = rates});
    world.run();
    client.heard();
  }
  void publish(int count, std::size_t bytes = 1) {
    const std::string payload(bytes, 'x');
    for (int i = 0; i < count && client.attached(); ++i) {
      client.publish("t", payload);
    }
  }
  World world{1};
  Client& client;
};

}  // namespace

TEST_CASE("a client may be two seconds ahead, then it is not read until that is paid back") {
  Talker talker({.messages_per_second = 10});
  talker.publish(20);
  CHECK_FALSE(talker.client.link().paused);
  talker.publish(5);  // read already when it was found out
  CHECK(talker.client.link().paused);
  CHECK(talker.world.counters().rates_held.read() == 1);
  CHECK(talker.world.counters().messages_received[0].read() == 25);
  talker.world.advance(Milliseconds(490));
  CHECK(talker.client.link().paused);
  talker.world.advance(Milliseconds(20));
  CHECK_FALSE(talker.client.link().paused);
  talker.publish(1);
  CHECK(talker.client.link().paused);
  CHECK(talker.world.counters().rates_held.read() == 2);
}

TEST_CASE("bytes count as well as messages") {
  Talker talker({.bytes_per_second = 1'000});
  talker.publish(1, 1'900);
  CHECK_FALSE(talker.client.link().paused);
  talker.publish(1, 1'100);
  CHECK(talker.client.link().paused);
  talker.world.advance(Milliseconds(1'100));
  CHECK_FALSE(talker.client.link().paused);
}

TEST_CASE("who is held is not late: its keep alive begins anew when it is read again") {
  Talker talker({.messages_per_second = 1}, 2);
  talker.publish(12);
  CHECK(talker.client.link().paused);
  talker.world.advance(Seconds(9));
  CHECK(talker.client.attached());
  CHECK(talker.client.link().paused);
  talker.world.advance(Milliseconds(1'500));
  CHECK_FALSE(talker.client.link().paused);
  talker.world.advance(Milliseconds(2'500));
  CHECK(talker.client.attached());
  talker.world.advance(Seconds(1));
  CHECK(talker.client.heard() == "DISCONNECT 0x8d");
}

TEST_CASE("with the policy to disconnect it hears the reason, in 3.1.1 by silence") {
  constexpr RateLimits rates{.messages_per_second = 5, .policy = RatePolicy::disconnect};
  Talker talker(rates);
  talker.publish(10);
  CHECK(talker.client.attached());
  talker.publish(1);
  CHECK(talker.client.heard() == "DISCONNECT 0x96");
  CHECK(talker.client.link().cause == session::CloseCause::too_fast);
  CHECK(talker.world.counters().rates_disconnected.read() == 1);
  CHECK(talker.world.counters().messages_received[0].read() == 10);

  Talker older(rates, 0, Version::v3_1_1);
  older.publish(11);
  CHECK(older.client.heard() == "");
  CHECK_FALSE(older.client.attached());
}

TEST_CASE("answers to what we send are free") {
  Talker talker({.messages_per_second = 2});
  Client& sender = talker.world.client("sender");
  sender.connect();
  talker.client.subscribe("t", q1);
  talker.world.run();
  talker.client.answers = true;
  for (int i = 0; i < 50; ++i) {
    sender.publish("t", "x", {.qos = q1});
    talker.world.run();
  }
  CHECK_FALSE(talker.client.link().paused);
  CHECK(talker.world.counters().rates_held.read() == 0);
}

TEST_CASE("a new connection begins with a full measure, and being held is over with the old one") {
  Talker talker({.messages_per_second = 1});
  talker.publish(10);
  CHECK(talker.client.link().paused);
  talker.client.connect({.rates = {.messages_per_second = 1}});
  talker.world.run();
  CHECK_FALSE(talker.client.link().paused);
  talker.publish(2);
  CHECK_FALSE(talker.client.link().paused);
  talker.world.advance(Seconds(30));
  CHECK(talker.client.attached());
}

TEST_CASE("without limits nobody is held") {
  Talker talker({});
  talker.publish(10'000);
  CHECK_FALSE(talker.client.link().paused);
}
