// How many connections an HTTP port takes, in a time of our own.
#include "http/doors.hpp"

#include <doctest/doctest.h>

namespace skerry::http {

namespace {

constexpr SteadyTime start{std::chrono::hours(1)};

boost::asio::ip::tcp::endpoint from(const char* address) {
  return {boost::asio::ip::make_address(address), 4711};
}

DoorOptions options_of(Rate all, Rate address) {
  return {.accepts = all, .address_accepts = address, .prefixes = {}, .hash_key = {{1, 2}}};
}

}  // namespace

TEST_CASE("an address over its rate is reset, another is not, and IPv6 counts by its /64") {
  Doors doors(options_of({}, {10, 2}));
  CHECK(doors.enter(from("192.0.2.1"), start));
  CHECK(doors.enter(from("192.0.2.1"), start));
  CHECK(!doors.enter(from("192.0.2.1"), start));
  CHECK(!doors.enter(from("::ffff:192.0.2.1"), start));
  CHECK(doors.enter(from("192.0.2.2"), start));
  CHECK(doors.enter(from("2001:db8::1"), start));
  CHECK(doors.enter(from("2001:db8::2"), start));
  CHECK(!doors.enter(from("2001:db8::3"), start));
  CHECK(doors.shed_count() == 3);
  CHECK(doors.enter(from("192.0.2.1"), start + Milliseconds(101)));
}

TEST_CASE("over the rate of all the port looks away, and those that were reset do not count") {
  Doors doors(options_of({10, 2}, {1, 1}));
  CHECK(doors.enter(from("192.0.2.1"), start));
  for (int i = 0; i < 100; ++i) {
    CHECK(!doors.enter(from("192.0.2.1"), start));
  }
  CHECK(doors.opens_at(start) == start);
  CHECK(doors.enter(from("192.0.2.2"), start));
  const SteadyTime opens = doors.opens_at(start);
  CHECK(opens > start + Milliseconds(99));
  CHECK(doors.deferred_count() == 1);
  CHECK(doors.opens_at(opens) == opens);
}

TEST_CASE("without limits everybody comes in") {
  Doors doors(DoorOptions{});
  for (int i = 0; i < 10'000; ++i) {
    CHECK(doors.enter(from("192.0.2.1"), start));
  }
  CHECK(doors.opens_at(start) == start);
}

}  // namespace skerry::http
