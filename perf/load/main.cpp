// skerry-load: one workload against an MQTT server on this machine; prints one line of JSON.
#include <cstdio>

#include "options.hpp"
#include "run.hpp"
#include "workload.hpp"

int main(int argument_count, char** arguments) {
  using namespace skerry::load;
  const Options options = read_options(argument_count, arguments);
  const auto workload = find_workload(options.workload);
  if (!workload) {
    fail("there is no workload " + options.workload);
  }
  Run run(options, *workload);
  const Figures figures = run.measure();
  std::printf(
      "{\"workload\":\"%s\",\"delivered\":%llu,\"seconds\":%.3f,\"server_cpu_seconds\":%.4f,"
      "\"client_cpu_seconds\":%.4f,\"written_off\":%llu,\"p50_us\":%.0f,\"p99_us\":%.0f}\n",
      options.workload.c_str(), static_cast<unsigned long long>(figures.delivered), figures.seconds,
      figures.server_cpu_seconds, figures.client_cpu_seconds,
      static_cast<unsigned long long>(figures.written_off), figures.latency_p50_us,
      figures.latency_p99_us);
  return 0;
}
