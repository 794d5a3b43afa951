// Who goes on with the handshake next, and who gives way, in a time of our own.
#include "net/lobby.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

namespace skerry::net {

namespace {

constexpr SteadyTime start{std::chrono::hours(1)};
constexpr Lobby::Options roomy{.places_max = 10'000, .handshakes_max = 1'000};
using Slots = std::vector<Lobby::Slot>;

Slots call_all(Lobby& lobby) {
  Slots called;
  while (const auto slot = lobby.call(start)) {
    called.push_back(*slot);
  }
  return called;
}

}  // namespace

TEST_CASE("who came first is called first, and a quiet one is not called") {
  Lobby lobby(roomy);
  for (Lobby::Slot slot = 0; slot < 4; ++slot) {
    lobby.enter(slot, 7);
  }
  lobby.line_up(2);
  lobby.line_up(0);
  lobby.line_up(2);
  CHECK(lobby.in_line() == 2);
  CHECK(call_all(lobby) == Slots{2, 0});
  CHECK(lobby.in_line() == 0);
  CHECK(lobby.size() == 4);
}

TEST_CASE("addresses are served in turn, so a thousand of one add one turn to another's wait") {
  Lobby lobby(roomy);
  for (Lobby::Slot slot = 0; slot < 1'000; ++slot) {
    lobby.enter(slot, 7);
    lobby.line_up(slot);
  }
  lobby.enter(1'000, 8);
  lobby.line_up(1'000);
  const Slots called = call_all(lobby);
  REQUIRE(called.size() == 1'001);
  CHECK(std::find(called.begin(), called.end(), 1'000U) - called.begin() <= 1);
  CHECK(called.back() == 999);
}

TEST_CASE("a handshake that has begun goes on before others of its address begin") {
  Lobby lobby(roomy);
  for (Lobby::Slot slot = 0; slot < 3; ++slot) {
    lobby.enter(slot, 7);
    lobby.line_up(slot);
  }
  REQUIRE(lobby.call(start) == 0);
  lobby.handshake_begun(0, start);
  lobby.line_up(0);
  CHECK(call_all(lobby) == Slots{0, 1, 2});
}

TEST_CASE("no more handshakes begin than may be open, and those that go on are not held up") {
  Lobby lobby({.places_max = 100, .handshakes_max = 2});
  for (Lobby::Slot slot = 0; slot < 4; ++slot) {
    lobby.enter(slot, slot);
    lobby.line_up(slot);
  }
  for (int i = 0; i < 2; ++i) {
    lobby.handshake_begun(*lobby.call(start), start);
  }
  CHECK(!lobby.may_call());
  CHECK(!lobby.call(start));
  lobby.line_up(1);
  CHECK(lobby.may_call());
  CHECK(lobby.call(start) == 1);
  lobby.handshake_ended(1);
  CHECK(lobby.call(start) == 2);
  CHECK(lobby.handshakes() == 1);
}

TEST_CASE("the handshake that is silent for longest makes room, though not before its time") {
  Lobby lobby({.places_max = 100, .handshakes_max = 2});
  for (Lobby::Slot slot = 0; slot < 3; ++slot) {
    lobby.enter(slot, slot);
    lobby.line_up(slot);
  }
  lobby.handshake_begun(*lobby.call(start), start);
  CHECK(!lobby.stalled(start + Seconds(100)));  // there is room
  lobby.handshake_begun(*lobby.call(start), start + Milliseconds(10));
  CHECK(!lobby.stalled(start + Milliseconds(999)));
  CHECK(lobby.stalled(start + Milliseconds(1'000)) == 0);
  // It speaks: now the other one is silent for longer.
  lobby.line_up(0);
  CHECK(lobby.stalled(start + Milliseconds(1'010)) == 1);
  CHECK(!lobby.stalled(start - Seconds(5)));  // a clock that goes back
  lobby.leave(1);
  CHECK(lobby.call(start) == 2);
}

TEST_CASE("somebody of the address with most places gives way, the one silent for longest first") {
  Lobby lobby(roomy);
  for (Lobby::Slot slot = 0; slot < 3; ++slot) {
    lobby.enter(slot, 7);
  }
  lobby.enter(3, 8);
  lobby.line_up(0);
  CHECK(lobby.victim(8) == 1);
  CHECK(lobby.victim(9) == 1);
  lobby.line_up(1);
  lobby.line_up(2);
  // All three wait for us: the last in line, for somebody of another address.
  CHECK(lobby.victim(8) == 2);
  // The address that has most does not get more by pushing out its own who came before.
  CHECK(!lobby.victim(7));
  lobby.leave(2);
  CHECK(lobby.victim(8) == 1);
}

TEST_CASE("one of an address that fills the lobby is pushed out by its own when it is silent") {
  Lobby lobby({.places_max = 2, .handshakes_max = 1});
  lobby.enter(0, 7);
  lobby.enter(1, 7);
  CHECK(lobby.full());
  CHECK(lobby.victim(7) == 0);
  lobby.leave(0);
  CHECK(!lobby.full());
}

TEST_CASE("nobody is there twice, and leaving twice does no harm") {
  Lobby lobby(roomy);
  lobby.leave(5);
  lobby.enter(5, 7);
  lobby.line_up(5);
  lobby.leave(5);
  lobby.leave(5);
  CHECK(lobby.size() == 0);
  CHECK(lobby.in_line() == 0);
  CHECK(!lobby.call(start));
  CHECK(!lobby.victim(7));
  lobby.enter(5, 8);
  CHECK(!lobby.is_in_line(5));
  lobby.line_up(5);
  CHECK(call_all(lobby) == Slots{5});
}

TEST_CASE("the lobby agrees with a naive count over random steps") {
  struct Guest {
    std::uint64_t address;
    bool in_line = false;
    bool begun = false;
  };
  Lobby lobby({.places_max = 64, .handshakes_max = 8});
  std::map<Lobby::Slot, Guest> guests;
  std::mt19937 random(7);
  for (int step = 0; step < 200'000; ++step) {
    const auto slot = static_cast<Lobby::Slot>(random() % 96);
    const auto found = guests.find(slot);
    switch (random() % 6) {
      case 0:
        if (found == guests.end() && !lobby.full()) {
          guests[slot] = {random() % 9};
          lobby.enter(slot, guests[slot].address);
        }
        break;
      case 1:
      case 2:
        if (found != guests.end()) {
          lobby.line_up(slot);
          found->second.in_line = true;
        }
        break;
      case 3:
        if (const auto called = lobby.call(start)) {
          Guest& guest = guests.at(*called);
          REQUIRE(guest.in_line);
          guest.in_line = false;
          if (guest.begun && random() % 2 == 0) {
            guest.begun = false;
            lobby.handshake_ended(*called);
          } else {
            guest.begun = true;
            lobby.handshake_begun(*called, start);
          }
        }
        break;
      case 4:
        lobby.leave(slot);
        guests.erase(slot);
        break;
      default:
        if (const auto victim = lobby.victim(random() % 12)) {
          REQUIRE(guests.contains(*victim));
        }
        if (const auto stalled = lobby.stalled(start + Seconds(2))) {
          const Guest& guest = guests.at(*stalled);
          REQUIRE((guest.begun && !guest.in_line));
        }
    }
    REQUIRE(lobby.size() == guests.size());
    const auto in_line = std::count_if(guests.begin(), guests.end(),
                                       [](const auto& each) { return each.second.in_line; });
    const auto begun = std::count_if(guests.begin(), guests.end(),
                                     [](const auto& each) { return each.second.begun; });
    REQUIRE(lobby.in_line() == static_cast<std::size_t>(in_line));
    REQUIRE(lobby.handshakes() == static_cast<std::size_t>(begun));
    REQUIRE(lobby.handshakes() <= 8);
  }
}

}  // namespace skerry::net
