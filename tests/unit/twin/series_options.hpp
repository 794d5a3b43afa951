// A series store for tests, over whatever store they have; nothing goes by itself in it.
#pragma once

#include "storage/kv_store.hpp"
#include "twin/series/chunk_series_store.hpp"

namespace skerry::twin::test {

/// The wall clock stands at `wall_milliseconds`.
inline series::SeriesStoreOptions series_options(
    storage::KvStore& store, std::int64_t wall_milliseconds = 1'700'000'000'000) {
  series::SeriesStoreOptions options;
  options.store = &store;
  options.write = [&store](const storage::Batch& batch) { return store.write(batch, true); };
  options.clock = [wall_milliseconds] { return Now{{}, wall_from_epoch(wall_milliseconds)}; };
  options.limits.series_per_device_max = 10'000;
  return options;
}

}  // namespace skerry::twin::test
