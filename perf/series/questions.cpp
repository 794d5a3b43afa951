#include "perf/series/questions.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "perf/series/open_store.hpp"

namespace skerry::perf {
namespace {

using Clock = std::chrono::steady_clock;
using twin::Sample;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(2);
}

Questions repeat(std::size_t times, const std::function<void()>& ask) {
  ask();  // Once to warm up.
  std::vector<double> milliseconds;
  std::vector<double> cpu;
  for (std::size_t i = 0; i < times; ++i) {
    const Clock::time_point start = Clock::now();
    const double cpu_start = thread_cpu_seconds();
    ask();
    cpu.push_back((thread_cpu_seconds() - cpu_start) * 1000);
    milliseconds.push_back(seconds_since(start) * 1000);
  }
  std::sort(cpu.begin(), cpu.end());
  std::sort(milliseconds.begin(), milliseconds.end());
  return {milliseconds[times / 2], milliseconds[times * 99 / 100], cpu[times / 2]};
}

void put(OpenSeries& open, const std::string& device, std::span<const Sample> samples) {
  storage::Batch batch;
  if (open.series->append(device, samples, batch) != twin::AppendResult::stored) {
    fail("the series store refused samples");
  }
  require(open.store->write(batch, false));
}

}  // namespace

Questions ask_day(const std::string& directory) {
  const OpenSeries open = open_series(directory);
  std::mt19937 random(9);
  return repeat(500, [&] {
    twin::SeriesQuery query;
    query.device = "device-" + std::to_string(random() % 200);
    query.keys = {"sensor." + std::to_string(random() % 10)};
    query.from = begin_time - 1'000;
    query.limit = series_page_samples_max;
    const auto page = open.series->query(query);
    if (page.has_error() || page->series.at(0).samples.size() != 8'640) {
      fail("a day has not all its samples");
    }
  });
}

Questions ask_month(const std::string& directory) {
  OpenSeries open = open_series(directory);
  std::mt19937 random(9);
  double temperature = 21;
  std::vector<Sample> samples;
  constexpr std::int64_t month = 30LL * 8'640;
  for (std::int64_t i = 0; i < month; ++i) {
    temperature = std::nearbyint(temperature * 10 + static_cast<double>(random() % 3) - 1) / 10;
    const std::int64_t time = begin_time + 10'000 * i + std::int64_t(random() % 100);
    samples.push_back({"temperature", time, temperature, 0});
    samples.push_back({"count", time, i * 7, 0});
    if (samples.size() == 500 || i + 1 == month) {
      put(open, "device", samples);
      samples.clear();
      open.series->seal_due();
    }
  }
  return repeat(300, [&] {
    twin::AggregateQuery query;
    query.device = "device";
    query.keys = {random() % 2 == 0 ? "temperature" : "count"};
    query.step = 300'000;
    query.limit = series_page_samples_max;
    const auto page = open.series->aggregate(query);
    if (page.has_error() || page->series.at(0).buckets.size() < 8'640) {
      fail("a month has not all its buckets");
    }
  });
}

Questions ask_fleet(const std::string& directory) {
  OpenSeries open = open_series(directory);
  twin::FleetLatestQuery query;
  query.now = wall_from_epoch(begin_time + 60'000);
  for (int device = 0; device < 10'000; ++device) {
    query.devices.push_back("device-" + std::to_string(device));
    std::vector<std::string> keys;
    std::vector<Sample> samples;
    for (int key = 0; key < 10; ++key) {
      keys.push_back("sensor." + std::to_string(key));
    }
    for (const std::string& key : keys) {
      samples.push_back({key, begin_time, 21.5, 0});
    }
    put(open, query.devices.back(), samples);
  }
  return repeat(100, [&] {
    twin::FleetLatestQuery rest = query;
    std::size_t items = 0;
    while (!rest.devices.empty()) {
      const auto page = open.series->latest_of(rest);
      if (page.has_error() || page->devices.empty()) {
        fail("the newest samples could not be read");
      }
      for (const auto& device : page->devices) {
        items += device.items.size();
      }
      rest.devices.erase(rest.devices.begin(),
                         rest.devices.begin() + static_cast<std::ptrdiff_t>(page->devices.size()));
    }
    if (items != 100'000) {
      fail("not all devices have their newest samples");
    }
  });
}

double open_with_waiting(const std::string& directory, std::size_t samples) {
  {
    OpenSeries open = open_series(directory);
    std::vector<std::string> keys;
    for (int key = 0; key < 10; ++key) {
      keys.push_back("sensor." + std::to_string(key));
    }
    const std::size_t rounds = samples / 10 / 10'000;
    for (std::size_t round = 0; round < rounds; ++round) {
      for (int device = 0; device < 10'000; ++device) {
        std::vector<Sample> message;
        for (const std::string& key : keys) {
          message.push_back({key, begin_time + 10'000 * static_cast<std::int64_t>(round),
                             static_cast<double>(round) / 10, 0});
        }
        put(open, "device-" + std::to_string(device), message);
      }
    }
  }
  const Clock::time_point start = Clock::now();
  const OpenSeries open = open_series(directory);
  if (open.series->statistics().unsealed_samples != samples) {
    fail("not all waiting samples were found");
  }
  return seconds_since(start);
}

}  // namespace skerry::perf
