// Tables of names over the counters, and the library's serialiser.
#include "app/metrics.hpp"

#include "app/metrics_doors.hpp"
#include "app/metrics_storage.hpp"

#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace skerry::app {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Row {
  const char* name;
  const char* help;
  MetricType type;
  Counter Counters::*counter;
};

constexpr std::array rows{
    Row{"skerry_connections_open", "Connections open now", MetricType::Gauge,
        &Counters::connections_open},
    Row{"skerry_connections_accepted_total", "Sockets accepted", MetricType::Counter,
        &Counters::connections_accepted},
    Row{"skerry_connections_refused_total", "Accepted and closed without a successful CONNACK",
        MetricType::Counter, &Counters::connections_refused},
    Row{"skerry_sessions", "Sessions, connected or not", MetricType::Gauge, &Counters::sessions},
    Row{"skerry_sessions_persistent", "Sessions that outlive their connection", MetricType::Gauge,
        &Counters::sessions_persistent},
    Row{"skerry_subscriptions", "Subscriptions", MetricType::Gauge, &Counters::subscriptions},
    Row{"skerry_retained_messages", "Retained messages", MetricType::Gauge,
        &Counters::retained_messages},
    Row{"skerry_retained_bytes", "Memory of retained messages", MetricType::Gauge,
        &Counters::retained_bytes},
    Row{"skerry_received_bytes_total", "Bytes read from clients", MetricType::Counter,
        &Counters::bytes_received},
    Row{"skerry_sent_bytes_total", "Bytes written to clients", MetricType::Counter,
        &Counters::bytes_sent},
    Row{"skerry_messages_matched_total", "Deliveries that messages came to, before any was dropped",
        MetricType::Counter, &Counters::matched},
    Row{"skerry_publishes_denied_total", "PUBLISH packets refused by the policy",
        MetricType::Counter, &Counters::publishes_denied},
    Row{"skerry_subscribes_denied_total", "Filters refused by the policy", MetricType::Counter,
        &Counters::subscribes_denied},
    Row{"skerry_telemetry_rejected_total", "Messages whose telemetry could not be used",
        MetricType::Counter, &Counters::telemetry_rejected},
    Row{"skerry_protocol_errors_total", "Connections ended because the peer broke the protocol",
        MetricType::Counter, &Counters::protocol_errors},
    Row{"skerry_take_overs_total", "Sessions taken over by a newer connection", MetricType::Counter,
        &Counters::take_overs},
    Row{"skerry_keep_alive_timeouts_total", "Connections ended by keep alive", MetricType::Counter,
        &Counters::keep_alive_timeouts},
    Row{"skerry_durable_refused_total", "Durable work refused because disk space had run low",
        MetricType::Counter, &Counters::durable_refused},
    Row{"skerry_plugin_exceptions_total", "Exceptions at a plugin's edge", MetricType::Counter,
        &Counters::plugin_exceptions},
    Row{"skerry_wills_published_total", "Wills published", MetricType::Counter,
        &Counters::wills_published},
    Row{"skerry_broker_messages_total", "Messages published by the broker itself",
        MetricType::Counter, &Counters::broker_messages},
    Row{"skerry_rights_ended_total", "Sessions that lost a right they had", MetricType::Counter,
        &Counters::rights_ended},
    Row{"skerry_commit_failures_total", "Batches of the cores that could not be stored",
        MetricType::Counter, &Counters::commit_failures},
    Row{"skerry_messages_read_back_total", "Queued messages read back from disk",
        MetricType::Counter, &Counters::messages_read_back},
    Row{"skerry_reads_paused_total", "Times a connection was not read because we were behind",
        MetricType::Counter, &Counters::reads_paused},
};

constexpr std::array drop_reasons{"queue_full",   "output_full",    "expired",   "too_large",
                                  "mailbox_full", "not_authorized", "no_member", "unreadable",
                                  "memory",       "listener_full"};

static_assert(drop_reasons.size() == static_cast<std::size_t>(DropReason::count_));

class Page {
 public:
  MetricFamily& family(const char* name, const char* help, MetricType type) {
    MetricFamily& added = families_.emplace_back();
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

  void single(const char* name, const char* help, MetricType type, double number) {
    value(family(name, help, type), number);
  }

  std::vector<MetricFamily>& families() { return families_; }

  void append(std::vector<MetricFamily> more) {
    families_.insert(families_.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

using CounterList = std::vector<const Counters*>;

template <typename Pick>
double sum(const CounterList& cores, Pick pick) {
  // Gauges move between cores: one core's share may be below zero, the sum is not.
  std::uint64_t total = 0;
  for (const Counters* const core : cores) {
    total += pick(*core).read();
  }
  return static_cast<double>(total);
}

void add_counters(Page& page, const CounterList& cores) {
  for (const Row& row : rows) {
    page.single(row.name, row.help, row.type,
                sum(
                    cores, [&row](const Counters& core) -> auto& { return core.*row.counter; }));
  }
  MetricFamily& received = page.family("skerry_messages_received_total", "PUBLISH packets received",
                                       MetricType::Counter);
  for (std::size_t qos = 0; qos < 3; ++qos) {
    page.value(
        received,
        sum(
            cores, [qos](const Counters& core) -> auto& { return core.messages_received[qos]; }),
        "qos", std::to_string(qos));
  }
  MetricFamily& sent =
      page.family("skerry_messages_sent_total", "PUBLISH packets sent", MetricType::Counter);
  for (std::size_t qos = 0; qos < 3; ++qos) {
    page.value(sent,
               sum(
                   cores, [qos](const Counters& core) -> auto& { return core.messages_sent[qos]; }),
               "qos", std::to_string(qos));
  }
  MetricFamily& dropped =
      page.family("skerry_messages_dropped_total", "Messages that did not reach a subscriber",
                  MetricType::Counter);
  for (std::size_t reason = 0; reason < drop_reasons.size(); ++reason) {
    page.value(dropped,
               sum(
                   cores, [reason](const Counters& core) -> auto& { return core.dropped[reason]; }),
               "reason", drop_reasons[reason]);
  }
}

void add_storage(Page& page, const storage::Committer& committer, const storage::KvStore& store) {
  const storage::CommitterStatistics& statistics = committer.statistics();
  const auto number = [](const std::atomic<std::uint64_t>& value) {
    return static_cast<double>(value.load(std::memory_order_relaxed));
  };
  constexpr auto counter = MetricType::Counter;
  page.single("skerry_storage_commits_total", "Groups written", counter,
              number(statistics.commits));
  page.single("skerry_storage_batches_total", "Batches in them", counter,
              number(statistics.batches));
  page.single("skerry_storage_operations_total", "Puts and erases in them", counter,
              number(statistics.operations));
  page.single("skerry_storage_written_bytes_total", "Bytes of keys and values in them", counter,
              number(statistics.bytes));
  page.single("skerry_storage_failures_total", "Groups that could not be stored", counter,
              number(statistics.failures));
  page.single("skerry_storage_reopens_total", "Times the store was reopened after a failure",
              counter, number(statistics.reopens));
  page.single("skerry_storage_commit_seconds_total", "Time in write and sync", counter,
              number(statistics.commit_microseconds) / 1e6);
  page.single("skerry_storage_queued_bytes", "Handed over and not yet stored", MetricType::Gauge,
              number(statistics.queued_bytes));
  page.single("skerry_storage_healthy", "1 when durable work is possible", MetricType::Gauge,
              committer.healthy() ? 1 : 0);
  page.single("skerry_storage_disk_bytes", "Bytes of the store on disk", MetricType::Gauge,
              static_cast<double>(store.size_bytes()));
}

void add_twin(Page& page, const MetricsSources& sources) {
  const twin::TelemetryStatistics statistics = sources.tap.statistics();
  page.single("skerry_telemetry_messages_total", "Telemetry messages stored", MetricType::Counter,
              static_cast<double>(statistics.messages_stored));
  page.single("skerry_telemetry_samples_total", "Samples stored", MetricType::Counter,
              static_cast<double>(statistics.samples_stored));
  page.single("skerry_telemetry_samples_flagged_total",
              "Samples stored with a time outside the accepted range", MetricType::Counter,
              static_cast<double>(statistics.samples_flagged));
  page.single("skerry_event_listeners", "Live streams that are open", MetricType::Gauge,
              static_cast<double>(sources.events.listener_count()));
  page.single("skerry_events_lost_total", "Events that a live stream was too slow for",
              MetricType::Counter, static_cast<double>(sources.events.lost_count()));
}

void add_registry(Page& page, const auth::DeviceRegistry& registry) {
  page.single("skerry_devices", "Registered devices, pending ones included", MetricType::Gauge,
              static_cast<double>(registry.size()));
  page.single("skerry_devices_pending", "Devices that wait for approval", MetricType::Gauge,
              static_cast<double>(registry.pending_count()));
  page.single("skerry_approvals_refused_total",
              "Unknown devices refused because too many wait for approval", MetricType::Counter,
              static_cast<double>(registry.approvals_refused()));
}

struct SeriesRow {
  const char* name;
  const char* help;
  MetricType type;
  std::atomic<std::uint64_t> twin::series::SeriesStatistics::*value;
};

using twin::series::SeriesStatistics;
constexpr std::array series_rows{
    SeriesRow{"skerry_series", "Series of telemetry", MetricType::Gauge, &SeriesStatistics::series},
    SeriesRow{"skerry_series_devices", "Devices that have series", MetricType::Gauge,
              &SeriesStatistics::devices},
    SeriesRow{"skerry_series_memory_bytes", "Memory of the index of series", MetricType::Gauge,
              &SeriesStatistics::memory_bytes},
    SeriesRow{"skerry_series_unsealed_samples", "Samples that wait for their chunks",
              MetricType::Gauge, &SeriesStatistics::unsealed_samples},
    SeriesRow{"skerry_series_sealed_samples_total", "Samples worked into chunks",
              MetricType::Counter, &SeriesStatistics::samples_sealed},
    SeriesRow{"skerry_series_collapsed_samples_total", "Samples that came more than once",
              MetricType::Counter, &SeriesStatistics::samples_collapsed},
    SeriesRow{"skerry_series_expired_samples_total", "Samples older than is kept on arrival",
              MetricType::Counter, &SeriesStatistics::samples_expired},
    SeriesRow{"skerry_series_chunks_total", "Chunks written", MetricType::Counter,
              &SeriesStatistics::chunks_written},
    SeriesRow{"skerry_series_chunk_bytes_total", "Bytes of these chunks", MetricType::Counter,
              &SeriesStatistics::chunk_bytes_written},
    SeriesRow{"skerry_series_chunks_rewritten_total", "Chunks replaced by others",
              MetricType::Counter, &SeriesStatistics::chunks_rewritten},
    SeriesRow{"skerry_series_rollups_total", "Roll-up records written", MetricType::Counter,
              &SeriesStatistics::rollups_written},
    SeriesRow{"skerry_series_erasures_total", "Erasures asked for", MetricType::Counter,
              &SeriesStatistics::erasures},
    SeriesRow{"skerry_series_damaged_records_total", "Records that could not be read",
              MetricType::Counter, &SeriesStatistics::records_damaged},
    SeriesRow{"skerry_series_seal_failures_total", "Seals that failed and are tried again",
              MetricType::Counter, &SeriesStatistics::seal_failures},
};

void add_series(Page& page, const SeriesStatistics& statistics) {
  const auto number = [](const std::atomic<std::uint64_t>& value) {
    return static_cast<double>(value.load(std::memory_order_relaxed));
  };
  for (const SeriesRow& row : series_rows) {
    page.single(row.name, row.help, row.type, number(statistics.*row.value));
  }
  MetricFamily& refused =
      page.family("skerry_series_refused_messages_total", "Messages the series store did not take",
                  MetricType::Counter);
  page.value(refused, number(statistics.refused_device_full), "reason", "device_full");
  page.value(refused, number(statistics.refused_store_full), "reason", "store_full");
  page.value(refused, number(statistics.refused_overloaded), "reason", "overloaded");
  page.value(refused, number(statistics.refused_no_space), "reason", "no_space");
}

void add_audit(Page& page, const auth::Audit& audit) {
  const auth::Audit::Statistics statistics = audit.statistics();
  page.single("skerry_audit_records_total", "Records of the audit stored", MetricType::Counter,
              static_cast<double>(statistics.records));
  page.single("skerry_audit_refusals_summed_total", "Refusals without a record of their own",
              MetricType::Counter, static_cast<double>(statistics.summed_up));
  page.single("skerry_audit_refusals_lost_total", "Refusals whose record could not be stored",
              MetricType::Counter, static_cast<double>(statistics.lost));
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_files() {
  std::error_code error;
  double count = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    ++count;
  }
  return count;
}

void add_process(Page& page, const std::string& version) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  page.single("process_cpu_seconds_total", "User and system time", MetricType::Counter,
              seconds(usage.ru_utime) + seconds(usage.ru_stime));
  page.single("process_resident_memory_bytes", "Resident memory", MetricType::Gauge,
              resident_bytes());
  page.single("process_open_fds", "Open file descriptors", MetricType::Gauge, open_files());
  page.single("process_max_fds", "Most file descriptors allowed", MetricType::Gauge,
              static_cast<double>(files.rlim_cur));
  page.value(page.family("skerry_build_info", "1, with the version", MetricType::Gauge), 1,
             "version", version);
}

void add_backups(Page& page, const backup::ServiceStatistics& backups) {
  page.single("skerry_backups_completed_total", "Backups that were made", MetricType::Counter,
              static_cast<double>(backups.completed.load()));
  page.single("skerry_backups_failed_total", "Backups that could not be made", MetricType::Counter,
              static_cast<double>(backups.failed.load()));
  page.single("skerry_backup_last_completed_timestamp_seconds",
              "When the last one was complete, 0: none since the start", MetricType::Gauge,
              static_cast<double>(backups.last_completed_seconds.load()));
  page.single("skerry_backup_last_bytes", "Bytes of its files", MetricType::Gauge,
              static_cast<double>(backups.last_bytes.load()));
}

}  // namespace

std::string metrics_text(const MetricsSources& sources) {
  Page page;
  const CounterList cores = sources.view.counters();
  add_counters(page, cores);
  page.single("skerry_cores", "Event loops", MetricType::Gauge, static_cast<double>(cores.size()));
  page.single("skerry_loops_alive", "1 when every loop has turned in the last 10 seconds",
              MetricType::Gauge, sources.view.loops_alive(10) ? 1 : 0);
  page.append(door_families(cores, sources.ports));
  add_storage(page, sources.committer, sources.store);
  if (sources.space != nullptr) {
    add_durability(page.families(), sources.committer, *sources.space, *sources.salvaged);
  }
  add_twin(page, sources);
  add_series(page, sources.series);
  add_registry(page, sources.registry);
  if (sources.audit != nullptr) {
    add_audit(page, *sources.audit);
  }
  if (sources.backups != nullptr) {
    add_backups(page, *sources.backups);
  }
  add_process(page, sources.version);
  return page.text();
}

}  // namespace skerry::app
