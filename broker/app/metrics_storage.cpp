#include "app/metrics_storage.hpp"

#include <chrono>
#include <string>

namespace skerry::app {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily& family(std::vector<MetricFamily>& families, const char* name, const char* help,
                     MetricType type) {
  MetricFamily& added = families.emplace_back();
  added.name = name;
  added.help = help;
  added.type = type;
  return added;
}

void value(MetricFamily& target, double number, const char* label = nullptr,
           const std::string& label_value = {}) {
  ClientMetric metric;
  if (label != nullptr) {
    metric.label.push_back({label, label_value});
  }
  (target.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = number;
  target.metric.push_back(metric);
}

const char* name_of(storage::SyncMode mode) noexcept {
  switch (mode) {
    case storage::SyncMode::commit:
      return "commit";
    case storage::SyncMode::interval:
      return "interval";
    case storage::SyncMode::none:
      return "none";
  }
  return "";
}

void add_sync(std::vector<MetricFamily>& families, const storage::Committer& committer) {
  value(family(families, "skerry_persistence_sync_info",
               "1, with the mode of persistence.sync that is in force", MetricType::Gauge),
        1, "mode", name_of(committer.sync_mode()));
  value(family(families, "skerry_persistence_loss_window_seconds",
               "Age of the oldest write that was acknowledged and not synced since",
               MetricType::Gauge),
        std::chrono::duration<double>(committer.loss_window()).count());
  value(family(families, "skerry_persistence_unsynced_bytes",
               "Bytes that were acknowledged and not synced since", MetricType::Gauge),
        static_cast<double>(committer.statistics().unsynced_bytes.load(std::memory_order_relaxed)));
}

void add_space(std::vector<MetricFamily>& families, const storage::SpaceWatch& space) {
  value(family(families, "skerry_storage_free_bytes",
               "Free space of the file system that the data directory is on", MetricType::Gauge),
        static_cast<double>(space.free_bytes()));
  value(family(families, "skerry_storage_free_min_bytes",
               "Free space below which durable work is refused", MetricType::Gauge),
        static_cast<double>(space.mark_bytes()));
  value(family(families, "skerry_storage_space_low", "1 while durable work is refused",
               MetricType::Gauge),
        space.low() ? 1 : 0);
  value(family(families, "skerry_storage_space_low_total", "Times that free space became low",
               MetricType::Counter),
        static_cast<double>(space.low_count()));
}

}  // namespace

void add_durability(std::vector<MetricFamily>& families, const storage::Committer& committer,
                    const storage::SpaceWatch& space, const storage::SalvageReport& salvaged) {
  add_sync(families, committer);
  add_space(families, space);
  MetricFamily& quarantined =
      family(families, "skerry_storage_quarantined_total",
             "What was damaged at start and has been set aside", MetricType::Counter);
  value(quarantined, static_cast<double>(salvaged.files.size()), "kind", "file");
  value(quarantined, static_cast<double>(salvaged.records), "kind", "record");
}

}  // namespace skerry::app
