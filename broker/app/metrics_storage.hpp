// Metrics of durability: loss window, free space, what was set aside at start.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "storage/committer.hpp"
#include "storage/salvage_report.hpp"
#include "storage/space_watch.hpp"

namespace skerry::app {

/// Appends to `families`. Any thread, does not block.
void add_durability(std::vector<prometheus::MetricFamily>& families,
                    const storage::Committer& committer, const storage::SpaceWatch& space,
                    const storage::SalvageReport& salvaged);

}  // namespace skerry::app
