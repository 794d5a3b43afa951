#include "perf/series/writing.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

#include "perf/series/open_store.hpp"

namespace skerry::perf {
namespace {

using Clock = std::chrono::steady_clock;
using twin::Sample;
using twin::Value;

/// Devices whose messages join one batch, as they would under load.
constexpr std::size_t messages_per_batch = 200;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_mebibytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

double table_bytes(const std::string& directory) {
  double total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".sst") {
      total += static_cast<double>(entry.file_size());
    }
  }
  return total;
}

class Generator {
 public:
  explicit Generator(std::size_t series) : last_(series, NAN) {}

  Value next(std::size_t series) {
    double& last = last_[series];
    switch (series % 10) {
      case 0:
      case 1:
      case 2:
      case 3:
        last = std::isnan(last) ? 21.5 + static_cast<double>(series % 7) : last + step();
        last = std::nearbyint(last * 10) / 10;
        return last;
      case 4:
      case 5:
        last = std::isnan(last) ? 45 : 45 + (last - 45) * 0.9 + noise_(random_);
        last = std::nearbyint(last * 100) / 100;
        return last;
      case 6:
      case 7:
        last = std::isnan(last) ? 1e6 : last + static_cast<double>(random_() % 1500);
        return static_cast<std::int64_t>(last);
      default:
        last = std::isnan(last) ? 0 : (random_() % 100 == 0 ? 1 - last : last);
        return last != 0;
    }
  }

  int off(int jitter) {
    return jitter == 0
               ? 0
               : static_cast<int>(random_() % static_cast<unsigned>(2 * jitter + 1)) - jitter;
  }

 private:
  double step() { return random_() % 10 < 4 ? 0 : (random_() % 2 == 0 ? 0.1 : -0.1); }

  std::mt19937_64 random_{5};
  std::normal_distribution<double> noise_{0, 0.35};
  std::vector<double> last_;
};

}  // namespace

Written write_mixed_profile(const WritingPlan& plan) {
  OpenSeries open = open_series(plan.directory);
  open.series->start();
  std::vector<std::string> keys;
  for (std::size_t key = 0; key < plan.keys; ++key) {
    keys.push_back("sensor." + std::to_string(key));
  }
  Generator generator(plan.devices * plan.keys);
  std::vector<std::vector<Sample>> messages(plan.devices, std::vector<Sample>(plan.keys));
  double making = 0;
  double making_cpu = 0;
  double writing_cpu = 0;
  const double cpu_before = cpu_seconds();
  const Clock::time_point start = Clock::now();
  for (std::size_t tick = 0; tick < plan.messages; ++tick) {
    const Clock::time_point make_start = Clock::now();
    const double make_cpu_start = thread_cpu_seconds();
    for (std::size_t device = 0; device < plan.devices; ++device) {
      const std::int64_t time =
          begin_time + 10'000 * static_cast<std::int64_t>(tick) + generator.off(plan.jitter);
      for (std::size_t key = 0; key < plan.keys; ++key) {
        messages[device][key] = {keys[key], time, generator.next(device * plan.keys + key), 0};
      }
    }
    making += seconds_since(make_start);
    making_cpu += thread_cpu_seconds() - make_cpu_start;
    const double cpu_start = thread_cpu_seconds();
    storage::Batch batch;
    for (std::size_t device = 0; device < plan.devices; ++device) {
      if (open.series->append("device-" + std::to_string(device), messages[device], batch) !=
          twin::AppendResult::stored) {
        std::fprintf(stderr, "the series store refused samples\n");
        std::exit(2);
      }
      if (batch.count() >= messages_per_batch) {
        require(open.store->write(batch, false));
        batch.clear();
      }
    }
    require(open.store->write(batch, false));
    writing_cpu += thread_cpu_seconds() - cpu_start;
  }
  const double writing = seconds_since(start) - making;
  open.series->stop();
  require(open.series->seal_all());
  const double sealing = seconds_since(start) - making;
  const double cpu = cpu_seconds() - cpu_before - making_cpu;
  for (const auto family : {storage::Family::series_log, storage::Family::series_chunks,
                            storage::Family::series_rollups, storage::Family::series_latest}) {
    require(open.store->compact(family, {}));
  }
  const auto samples = static_cast<double>(plan.devices * plan.keys * plan.messages);
  Written written;
  written.samples_per_second = samples / writing;
  written.samples_per_cpu_second = samples / writing_cpu;
  written.sealed_per_second = samples / sealing;
  written.cpu_seconds_per_million = cpu / samples * 1e6;
  written.chunk_bytes_per_sample =
      static_cast<double>(open.series->statistics().chunk_bytes_written) / samples;
  written.bytes_per_sample = table_bytes(plan.directory) / samples;
  written.resident_mebibytes = resident_mebibytes();
  return written;
}

}  // namespace skerry::perf
