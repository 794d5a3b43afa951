// Healthy clients: half of them publish at QoS 1 at a steady rate, the other half subscribe, one
// pair to a topic. Measured is the time from the write of a PUBLISH to its delivery and to its
// PUBACK. Prints one line of JSON.
#pragma once

#include "options.hpp"

namespace skerry::flood {

void run_healthy(const Options& options);

}  // namespace skerry::flood
