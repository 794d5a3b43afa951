// Questions to a series store, asked many times.
#pragma once

#include <cstddef>
#include <string>

namespace skerry::perf {

struct Questions {
  double p50_milliseconds = 0;
  double p99_milliseconds = 0;
  double cpu_milliseconds = 0;  ///< the median, in CPU time of the asking thread
};

/// All of one series in the store that write_mixed_profile() left in `directory`: 8,640 samples.
Questions ask_day(const std::string& directory);
/// Fills a store with 30 days of two series, and asks for all by five minutes.
Questions ask_month(const std::string& directory);
/// Fills a store with 10,000 devices of ten keys, and asks for the newest of all.
Questions ask_fleet(const std::string& directory);
/// Seconds that opening takes with so many samples in the log.
double open_with_waiting(const std::string& directory, std::size_t samples);

}  // namespace skerry::perf
