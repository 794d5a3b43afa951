#include <doctest/doctest.h>

#include <string>
#include <type_traits>

#include "base/byte_order.hpp"
#include "base/counters.hpp"
#include "base/now.hpp"
#include "base/strong_id.hpp"

using namespace std::chrono_literals;

TEST_CASE("big-endian keys sort as their numbers count") {
  std::string small;
  std::string large;
  skerry::append_big_endian(small, std::uint64_t{255});
  skerry::append_big_endian(large, std::uint64_t{256});
  CHECK(small < large);
  CHECK(skerry::read_big_endian<std::uint64_t>(large) == 256);
  std::string pair;
  skerry::append_big_endian(pair, std::uint16_t{0xfffe});
  CHECK(pair == "\xff\xfe");
}

TEST_CASE("two ids never share a type") {
  CHECK_FALSE(std::is_convertible_v<skerry::DurableId, skerry::MessageId>);
  CHECK_FALSE(std::is_constructible_v<skerry::CoreIndex, skerry::DurableId>);
  CHECK(skerry::MessageId{1} < skerry::MessageId{2});
}

TEST_CASE("wall time goes through its stored form unharmed") {
  const skerry::WallTime time{1'700'000'000'123ms};
  CHECK(skerry::epoch_milliseconds(time) == 1'700'000'000'123);
  CHECK(skerry::wall_from_epoch(skerry::epoch_milliseconds(time)) == time);
}

TEST_CASE("a counter adds, subtracts and is read") {
  skerry::Counter counter;
  counter.add();
  counter.add(41);
  counter.subtract(2);
  CHECK(counter.read() == 40);
  counter.set(7);
  CHECK(counter.read() == 7);
}
