#include "histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using skerry::bench::Histogram;

TEST_CASE("a quantile is at most one step above the truth") {
  std::mt19937_64 random(3);
  std::vector<std::int64_t> values;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::int64_t>(random() >> (random() % 60 + 3)));
    histogram.add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double quantile : {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(
        std::max(1.0, std::ceil(quantile * static_cast<double>(values.size()))));
    const auto truth = static_cast<double>(values[rank - 1]);
    const auto answer = static_cast<double>(histogram.quantile(quantile));
    CHECK(answer >= truth);
    CHECK(answer <= truth * (1 + 1.0 / 64) + 1);
  }
  CHECK(histogram.quantile(1) == values.back());
  CHECK(histogram.max() == values.back());
}

TEST_CASE("an empty histogram answers with zero, and one value is every quantile") {
  Histogram histogram;
  CHECK(histogram.quantile(0.5) == 0);
  CHECK(histogram.mean() == 0);
  histogram.add(INT64_MAX);
  CHECK(histogram.quantile(0) == INT64_MAX);
  CHECK(histogram.quantile(1) == INT64_MAX);
  histogram.clear();
  histogram.add(-5);
  CHECK(histogram.quantile(0.99) == 0);
  CHECK(histogram.count() == 1);
}

TEST_CASE("adding a histogram is adding its values") {
  Histogram left;
  Histogram right;
  Histogram both;
  for (int i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? left : right).add(i * i);
    both.add(i * i);
  }
  left.add(right);
  for (const double quantile : {0.1, 0.5, 0.99}) {
    CHECK(left.quantile(quantile) == both.quantile(quantile));
  }
  CHECK(left.mean() == doctest::Approx(both.mean()));
}
