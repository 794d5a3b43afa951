// Caps and thresholds of the series store that an operator or a test may set, and what it counts.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace skerry::twin::series {

struct SeriesLimits {
  std::size_t series_max = 1'000'000;  ///< of all devices; each takes some 250 bytes of memory
  std::size_t series_per_device_max = 1'000;  ///< more are refused
  /// Samples that wait for their chunks, of all devices; more are refused as "overloaded".
  std::uint64_t unsealed_samples_max = 32'000'000;
  /// The same for one device, in bytes of log, so that no question reads more than this.
  std::size_t device_unsealed_bytes_max = 16 * 1024 * 1024;
  /// A device is worked into chunks when one of its series has so many samples waiting …
  std::uint32_t seal_samples = 480;
  /// … or, when more than a quarter of unsealed_samples_max wait, so many,
  std::uint32_t seal_samples_pressed = 240;
  /// … or when it has so many rows or bytes of log,
  std::uint32_t seal_rows = 4'096;
  std::size_t seal_bytes = 1024 * 1024;
  /// … or when a sample has waited for so long.
  std::chrono::milliseconds seal_age{2 * 3600 * 1000};
};

/// For metrics. Any thread may read.
struct SeriesStatistics {
  std::atomic<std::uint64_t> series{0};
  std::atomic<std::uint64_t> devices{0};
  std::atomic<std::uint64_t> memory_bytes{0};      ///< of the index, about
  std::atomic<std::uint64_t> unsealed_samples{0};  ///< waiting for their chunks
  std::atomic<std::uint64_t> samples_sealed{0};
  std::atomic<std::uint64_t> samples_collapsed{0};  ///< came more than once
  std::atomic<std::uint64_t> samples_expired{0};    ///< older than is kept when they came
  std::atomic<std::uint64_t> chunks_written{0};
  std::atomic<std::uint64_t> chunk_bytes_written{0};
  std::atomic<std::uint64_t> chunks_rewritten{0};  ///< replaced, for late samples or few
  std::atomic<std::uint64_t> rollups_written{0};
  std::atomic<std::uint64_t> erasures{0};
  std::atomic<std::uint64_t> records_damaged{0};
  std::atomic<std::uint64_t> seal_failures{0};
  std::atomic<std::uint64_t> refused_device_full{0};  ///< messages
  std::atomic<std::uint64_t> refused_store_full{0};
  std::atomic<std::uint64_t> refused_overloaded{0};
  std::atomic<std::uint64_t> refused_no_space{0};
};

inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t amount = 1) noexcept {
  counter.fetch_add(amount, std::memory_order_relaxed);
}

}  // namespace skerry::twin::series
