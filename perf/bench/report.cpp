#include "report.hpp"

#include <boost/json/array.hpp>
#include <cmath>
#include <cstdio>

namespace skerry::bench {
namespace {

/// As many digits as mean something.
std::string text_of(double value) {
  char text[64];
  const int digits = value == std::floor(value) && std::abs(value) < 1e15 ? 0
                     : std::abs(value) >= 100                             ? 1
                     : std::abs(value) >= 1                               ? 2
                                                                          : 4;
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

double microseconds(std::int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1000;
}

}  // namespace

void Report::add(std::string name, double value, std::string label) {
  figures_.push_back({std::move(name), value, std::move(label)});
}

void Report::add(const std::string& name, const Histogram& histogram, const std::string& label) {
  add(name + "_p50_us", microseconds(histogram.quantile(0.5)), label + ", p50, µs");
  add(name + "_p99_us", microseconds(histogram.quantile(0.99)), label + ", p99, µs");
  add(name + "_p999_us", microseconds(histogram.quantile(0.999)), label + ", p99.9, µs");
  add(name + "_max_us", microseconds(histogram.max()), label + ", longest, µs");
}

void Report::add_use(const std::optional<ProcessUse>& before,
                     const std::optional<ProcessUse>& after, double millions) {
  if (!before || !after) {
    return;
  }
  const double cpu = after->cpu_seconds - before->cpu_seconds;
  add("broker_cpu_seconds", cpu, "CPU of the broker, s");
  if (millions > 0) {
    add("broker_cpu_seconds_per_million", cpu / millions, "CPU of the broker, s per million");
    add("broker_switches_per_thousand",
        static_cast<double>(after->switches - before->switches) / millions / 1000,
        "context switches per thousand");
  }
  add("broker_file_writes", static_cast<double>(after->writes - before->writes),
      "write calls that the kernel counts");
  add("broker_resident_mib", static_cast<double>(after->resident_bytes) / (1024 * 1024),
      "resident memory of the broker, MiB");
  add("broker_resident_peak_mib", static_cast<double>(after->resident_peak_bytes) / (1024 * 1024),
      "its highest, MiB");
}

boost::json::object Report::json() const {
  boost::json::object out;
  out["scenario"] = scenario_;
  for (const Figure& figure : figures_) {
    out[figure.name] = figure.value;
  }
  boost::json::array failures;
  for (const std::string& failure : failures_) {
    failures.emplace_back(failure);
  }
  out["failures"] = std::move(failures);
  return out;
}

std::string Report::table() const {
  std::string out;
  for (const Figure& figure : figures_) {
    // µ takes two bytes and one column.
    const bool is_wide = figure.label.find("µ") != std::string::npos;
    char line[160];
    std::snprintf(line, sizeof line, "%-*s %16s\n", is_wide ? 45 : 44, figure.label.c_str(),
                  text_of(figure.value).c_str());
    out += line;
  }
  for (const std::string& failure : failures_) {
    out += "FAILED: " + failure + "\n";
  }
  return out;
}

}  // namespace skerry::bench
