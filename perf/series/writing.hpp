// Writing the mixed profile: devices with ten keys that report every ten seconds; of the series
// 40 % move by tenths, 20 % are noisy with two decimals, 20 % are counters, 20 % flags.
#pragma once

#include <cstddef>
#include <string>

namespace skerry::perf {

struct WritingPlan {
  std::string directory;
  std::size_t devices;
  std::size_t keys;
  std::size_t messages;  ///< of each device
  int jitter;            ///< milliseconds, to both sides
};

struct Written {
  double samples_per_second = 0;      ///< of append and write, without making the samples
  double samples_per_cpu_second = 0;  ///< the same by the writing thread's CPU time
  double sealed_per_second = 0;       ///< samples by the time until all were in chunks
  double cpu_seconds_per_million = 0;
  double bytes_per_sample = 0;  ///< of the whole directory, compacted, without logs
  double chunk_bytes_per_sample = 0;
  double resident_mebibytes = 0;
};

Written write_mixed_profile(const WritingPlan& plan);

}  // namespace skerry::perf
