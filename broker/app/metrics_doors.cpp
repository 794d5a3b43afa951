// One row for each number.
#include "app/metrics_doors.hpp"

#include <array>
#include <string>

#include "http/server.hpp"
#include "net/doors.hpp"

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
  double unit = 1;
};

constexpr double microsecond = 1e-6;

constexpr std::array rows{
    Row{"skerry_accepts_deferred_total", "Times nobody was accepted because of the rate of all",
        MetricType::Counter, &Counters::accepts_deferred},
    Row{"skerry_connections_unattached", "Connections that no CONNECT has let in yet",
        MetricType::Gauge, &Counters::unattached},
    Row{"skerry_handshakes_waiting", "TLS handshakes in line for the processor", MetricType::Gauge,
        &Counters::handshakes_waiting},
    Row{"skerry_handshakes_open", "TLS handshakes begun and not ended", MetricType::Gauge,
        &Counters::handshakes_open},
    Row{"skerry_handshakes_total", "TLS handshakes that ended well", MetricType::Counter,
        &Counters::handshakes_done},
    Row{"skerry_handshakes_failed_total", "TLS handshakes that were begun and failed",
        MetricType::Counter, &Counters::handshakes_failed},
    Row{"skerry_handshake_seconds_total", "Time of the cores in TLS handshakes",
        MetricType::Counter, &Counters::handshake_microseconds, microsecond},
    Row{"skerry_connects_rate_limited_total", "CONNECT answered with Connection rate exceeded",
        MetricType::Counter, &Counters::connects_rate_limited},
    Row{"skerry_clients_held_total", "Times a client was not read because it sent too fast",
        MetricType::Counter, &Counters::rates_held},
    Row{"skerry_clients_too_fast_total", "Clients disconnected with Message rate too high",
        MetricType::Counter, &Counters::rates_disconnected},
};

void add(MetricFamily& family, double number, const char* label = nullptr,
         const std::string& label_value = {}) {
  ClientMetric metric;
  if (label != nullptr) {
    metric.label.push_back({label, label_value});
  }
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = number;
  family.metric.push_back(metric);
}

template <typename Pick>
double sum(const std::vector<const Counters*>& cores, Pick pick) {
  std::uint64_t total = 0;
  for (const Counters* const core : cores) {
    total += pick(*core).read();
  }
  return static_cast<double>(total);
}

MetricFamily named(const char* name, const char* help, MetricType type) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

}  // namespace

std::vector<MetricFamily> door_families(const std::vector<const Counters*>& cores,
                                        const std::vector<const http::Server*>& ports) {
  std::vector<MetricFamily> families;
  for (const Row& row : rows) {
    MetricFamily& family = families.emplace_back(named(row.name, row.help, row.type));
    const double number = sum(
        cores, [&row](const Counters& core) -> auto& { return core.*row.counter; });
    add(family, number * row.unit);
  }
  MetricFamily& shed = families.emplace_back(
      named("skerry_connections_shed_total", "Connections closed before anything was done for them",
            MetricType::Counter));
  for (std::size_t reason = 0; reason < static_cast<std::size_t>(ShedReason::count_); ++reason) {
    const double number = sum(
        cores, [reason](const Counters& core) -> auto& { return core.shed[reason]; });
    add(shed, number, "reason", net::name_of(static_cast<ShedReason>(reason)));
  }
  MetricFamily& http_shed = families.emplace_back(
      named("skerry_http_connections_shed_total", "Connections of an HTTP port that were reset",
            MetricType::Counter));
  MetricFamily deferred =
      named("skerry_http_accepts_deferred_total",
            "Times an HTTP port accepted nobody because of its rate", MetricType::Counter);
  for (const http::Server* const port : ports) {
    if (port != nullptr) {
      add(http_shed, static_cast<double>(port->doors().shed_count()), "port", port->name());
      add(deferred, static_cast<double>(port->doors().deferred_count()), "port", port->name());
    }
  }
  families.push_back(std::move(deferred));
  return families;
}

}  // namespace skerry::app
