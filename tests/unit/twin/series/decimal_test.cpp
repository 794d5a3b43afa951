// Decimals and sums that do not depend on the order of their parts.
#include "twin/series/decimal.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace skerry::twin::series {
namespace {

TEST_CASE("what is written with few places is a decimal") {
  const auto decimal = decimal_of(21.5);
  REQUIRE(decimal);
  CHECK(decimal->mantissa == 215);
  CHECK(decimal->places == 1);
  CHECK(decimal_of(0.0)->mantissa == 0);
  CHECK(decimal_of(-40)->mantissa == -40);
  CHECK(decimal_of(0.000000001)->places == 9);
  CHECK(decimal_of(4'007'199'254'740'991.0)->places == 0);
  CHECK_FALSE(decimal_of(-0.0));
  CHECK_FALSE(decimal_of(std::sqrt(2.0)));
  CHECK_FALSE(decimal_of(1e300));
  CHECK_FALSE(decimal_of(std::nan("")));
  CHECK_FALSE(decimal_of(HUGE_VAL));
}

TEST_CASE("every decimal of up to six places is found and reads back") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const auto mantissa = static_cast<std::int64_t>(random() % 2'000'000'000) - 1'000'000'000;
    const unsigned places = static_cast<unsigned>(random() % 7);
    const double number = real_of(mantissa, places);
    const auto decimal = decimal_of(number);
    if (mantissa == 0) {
      continue;
    }
    REQUIRE(decimal);
    CHECK(decimal->places <= places);
    CHECK(real_of(decimal->mantissa, decimal->places) == number);
  }
}

TEST_CASE("decimals are summed as decimals") {
  ExactSum sum;
  for (const double part : {0.1, 0.2, 0.3}) {
    sum.add(part);
  }
  CHECK(sum.value() == 0.6);
  sum.add(std::int64_t{-1});
  CHECK(sum.value() == -0.4);
  for (int i = 0; i < 4; ++i) {
    sum.add(std::int64_t{INT64_MAX});
  }
  CHECK(sum.value() == doctest::Approx(4.0 * 9.2233720368547758e18));
}

TEST_CASE("a sum is the same in any order and grouping, and reads back") {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> any(-1000, 1000);
  std::vector<double> parts;
  for (int i = 0; i < 5000; ++i) {
    parts.push_back(i % 2 == 0 ? any(random) : std::round(any(random) * 100) / 100);
  }
  ExactSum straight;
  for (const double part : parts) {
    straight.add(part);
  }
  for (int round = 0; round < 20; ++round) {
    std::shuffle(parts.begin(), parts.end(), random);
    ExactSum grouped;
    ExactSum group;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      group.add(parts[i]);
      if (random() % 50 == 0 || i + 1 == parts.size()) {
        std::string bytes;
        group.append_to(bytes);
        ByteReader in(bytes);
        grouped.add(ExactSum::read(in));
        REQUIRE((in.ok() && in.at_end()));
        group = {};
      }
    }
    CHECK(grouped.value() == straight.value());
  }
}

}  // namespace
}  // namespace skerry::twin::series
