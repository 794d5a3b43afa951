#include "workload.hpp"

namespace skerry::load {
namespace {

constexpr Workload workloads[] = {
    {"a1", 100, 1, 64, 0, 1, false},    // many to one, a message at a time
    {"a2", 100, 1, 64, 0, 16, false},   // many to one
    {"a3", 100, 5, 256, 0, 16, false},  // twenty publishers per subscriber, by wildcard
    {"b1", 1, 1000, 64, 0, 1, true},    // one to many, a message at a time
    {"b2", 1, 1000, 64, 0, 8, true},    // one to many
    {"c1", 200, 200, 64, 1, 1, false},  // pairs at QoS 1, a message at a time
    {"c2", 200, 200, 64, 1, 10, false},
    {"d", 200, 200, 64, 2, 10, false},             // pairs at QoS 2
    {"telemetry", 200, 0, 0, 1, 16, false, true},  // stored, nobody listens
};

}  // namespace

std::optional<Workload> find_workload(std::string_view name) {
  for (const Workload& workload : workloads) {
    if (workload.name == name) {
      return workload;
    }
  }
  return std::nullopt;
}

}  // namespace skerry::load
