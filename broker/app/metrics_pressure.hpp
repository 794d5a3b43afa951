// What the memory of the process goes to and what was refused for want of it, as metrics.
#pragma once

#include <string>

#include "base/memory_budget.hpp"
#include "plugin/admin_view.hpp"

namespace skerry::app {

struct PressureSources {
  const plugin::AdminView& view;
  const MemoryBudget& memory;
  std::uint64_t trims = 0;  ///< times the allocator gave memory back
};

/// Text format 0.0.4; see metrics_text().
std::string pressure_metrics_text(const PressureSources& sources);

}  // namespace skerry::app
