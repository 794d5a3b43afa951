// A series store on disk for the measurements.
#pragma once

#include <ctime>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/now.hpp"
#include "storage/kv_store.hpp"
#include "twin/series/chunk_series_store.hpp"

namespace skerry::perf {

inline constexpr std::int64_t begin_time = 1'700'000'000'000;

struct OpenSeries {
  std::unique_ptr<storage::KvStore> store;
  std::unique_ptr<twin::series::ChunkSeriesStore> series;
};

inline void require(const storage::Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "the store failed: %s\n", status.detail.c_str());
    std::exit(2);
  }
}

/// CPU time of the calling thread: what other work on the machine does not move.
inline double thread_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Writes are not synced, since the disk is not what is measured. Ends the program on a failure.
inline OpenSeries open_series(const std::string& directory) {
  storage::RocksOptions rocks;
  rocks.directory = directory;
  storage::OpenedStore opened = storage::open_rocks_store(rocks);
  require(opened.status);
  OpenSeries out;
  out.store = std::move(opened.store);
  twin::series::SeriesStoreOptions options;
  options.store = out.store.get();
  options.write = [store = out.store.get()](const storage::Batch& batch) {
    return store->write(batch, false);
  };
  options.clock = read_clocks;
  out.series = std::make_unique<twin::series::ChunkSeriesStore>(std::move(options));
  require(out.series->open());
  return out;
}

}  // namespace skerry::perf
