// What the doors have counted, as metrics: connections shed, handshakes, rates of clients.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "base/counters.hpp"

namespace skerry::http {
class Server;
}

namespace skerry::app {

/// Sums over `cores`, and what each of `ports` has shed; those that are null are left out.
std::vector<prometheus::MetricFamily> door_families(const std::vector<const Counters*>& cores,
                                                    const std::vector<const http::Server*>& ports);

}  // namespace skerry::app
