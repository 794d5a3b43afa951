// What a run found: figures in the order in which a person wants to read them, as a table on a
// terminal and as one JSON object for machines.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "histogram.hpp"
#include "process.hpp"

namespace skerry::bench {

struct Figure {
  std::string name;  ///< of the JSON member, its unit at the end: `latency_p99_us`
  double value = 0;
  std::string label;  ///< for the terminal
};

class Report {
 public:
  explicit Report(std::string scenario) : scenario_(std::move(scenario)) {}

  void add(std::string name, double value, std::string label);
  /// Half, 99 %, 99.9 % and the longest, in microseconds, as `<name>_p50_us` and so on.
  void add(const std::string& name, const Histogram& histogram, const std::string& label);
  /// What the broker's process used between two moments; nothing when either is unknown.
  void add_use(const std::optional<ProcessUse>& before, const std::optional<ProcessUse>& after,
               double millions);
  /// A finding that makes the run fail: messages that did not arrive, answers that were wrong.
  void fail(std::string sentence) { failures_.push_back(std::move(sentence)); }

  bool is_good() const noexcept { return failures_.empty(); }
  boost::json::object json() const;
  std::string table() const;

 private:
  std::string scenario_;
  std::vector<Figure> figures_;
  std::vector<std::string> failures_;
};

}  // namespace skerry::bench
