// Metrics: the server's numbers as Prometheus text. Everything is read when it is asked for;
// nothing here is counted twice. The names are a contract: see README.md of this folder.
#pragma once

#include <string>

#include "admin-api/event_hub.hpp"
#include "auth/audit.hpp"
#include "auth/registry.hpp"
#include "backup/service.hpp"
#include "http/server.hpp"
#include "plugin/admin_view.hpp"
#include "storage/committer.hpp"
#include "storage/kv_store.hpp"
#include "storage/salvage_report.hpp"
#include "storage/space_watch.hpp"
#include "twin/series/limits.hpp"
#include "twin/telemetry_tap.hpp"

namespace skerry::app {

struct MetricsSources {
  const plugin::AdminView& view;
  const storage::Committer& committer;
  const storage::KvStore& store;
  const twin::TelemetryTap& tap;
  const admin_api::EventHub& events;
  const twin::series::SeriesStatistics& series;
  const auth::DeviceRegistry& registry;
  std::string version;
  const auth::Audit* audit = nullptr;                  ///< may be null
  const backup::ServiceStatistics* backups = nullptr;  ///< may be null
  const storage::SpaceWatch* space = nullptr;          ///< may be null
  const storage::SalvageReport* salvaged = nullptr;    ///< set when `space` is
  std::vector<const http::Server*> ports;              ///< some may be null
};

/// Text format 0.0.4. Reads /proc/self; does not wait for a core. Admin loop. What `sources` refers
/// to must be alive.
std::string metrics_text(const MetricsSources& sources);

}  // namespace skerry::app
