// skerry-series-bench: what the series store costs by itself, without network, on disk below a
// directory of its own: samples per second on the writing thread, bytes per sample, and how long
// the questions take that a console asks. Prints a table; ends with 1 when a goal is missed.
// Arguments: the directory, and `writing` to leave the questions out.
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>

#include "perf/series/questions.hpp"
#include "perf/series/writing.hpp"

namespace {

using namespace skerry::perf;

struct Goal {
  std::string what;
  double value;
  double bound;
  bool at_least;
  std::string unit;
};

bool report(const Goal& goal) {
  const bool holds = goal.at_least ? goal.value >= goal.bound : goal.value <= goal.bound;
  std::printf("| %-52s | %10.3f %-10s | %s %7.2f | %s |\n", goal.what.c_str(), goal.value,
              goal.unit.c_str(), goal.at_least ? "≥" : "≤", goal.bound, holds ? "met" : "MISSED");
  return holds;
}

void remark(const std::string& what, double value, const std::string& unit) {
  std::printf("| %-52s | %10.3f %-10s | %9s |     |\n", what.c_str(), value, unit.c_str(), "");
}

void remark(const Questions& questions) {
  remark("  p50", questions.p50_milliseconds, "ms");
  remark("  p50 of CPU time", questions.cpu_milliseconds, "ms");
}

bool measure_writing(const std::string& directory, int jitter, double bytes_max) {
  const Written written = write_mixed_profile({directory, 200, 10, 8'640, jitter});
  const std::string name = jitter == 0 ? "snapped" : "±50 ms";
  bool met = true;
  if (jitter != 0) {
    met &= report({"append + write, one thread", written.samples_per_second / 1e6, 2, true, "M/s"});
    remark("  by CPU time of that thread", written.samples_per_cpu_second / 1e6, "M/s");
    remark("  until all of it is in chunks too", written.sealed_per_second / 1e6, "M/s");
    remark("  CPU of the whole process", written.cpu_seconds_per_million, "s/M");
    remark("  resident memory at the end", written.resident_mebibytes, "MiB");
  }
  met &= report({"bytes a sample, " + name + ", roll-ups and keys in it", written.bytes_per_sample,
                 bytes_max, false, "B"});
  remark("  chunks alone", written.chunk_bytes_per_sample, "B");
  return met;
}

}  // namespace

int main(int count, char** words) {
  const std::string directory =
      count > 1 ? words[1] : std::filesystem::temp_directory_path() / "skerry-series-bench";
  const bool only_writing = count > 2 && std::string_view(words[2]) == "writing";
  std::filesystem::remove_all(directory);
  bool met = measure_writing(directory + "/jitter", 50, 2.5);
  met &= measure_writing(directory + "/snapped", 0, 1.3);
  if (only_writing) {
    std::filesystem::remove_all(directory);
    return met ? 0 : 1;
  }
  const Questions day = ask_day(directory + "/jitter");
  met &= report({"24 h raw of one series, p99", day.p99_milliseconds, 5, false, "ms"});
  remark(day);
  const Questions month = ask_month(directory + "/month");
  met &= report({"30 d by 5 min of one series, p99", month.p99_milliseconds, 20, false, "ms"});
  remark(month);
  const Questions fleet = ask_fleet(directory + "/fleet");
  met &= report({"latest of 10,000 devices, p99", fleet.p99_milliseconds, 50, false, "ms"});
  remark(fleet);
  const double seconds = open_with_waiting(directory + "/waiting", 10'000'000);
  met &= report({"opening with 10 million samples that wait", seconds, 10, false, "s"});
  std::filesystem::remove_all(directory);
  return met ? 0 : 1;
}
