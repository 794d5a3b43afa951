#include "app/metrics_pressure.hpp"

#include <prometheus/text_serializer.h>

#include <array>

#include "session/delivery_queue.hpp"

namespace skerry::app {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::array refusals{"connection", "subscription", "publish", "retained", "packet"};
static_assert(refusals.size() == static_cast<std::size_t>(MemoryRefusal::count_));

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily made;
  made.name = name;
  made.help = help;
  made.type = type;
  return made;
}

void add(MetricFamily& target, std::uint64_t number, const char* label = nullptr,
         const char* value = "") {
  ClientMetric metric;
  if (label != nullptr) {
    metric.label.push_back({label, value});
  }
  (target.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
      static_cast<double>(number);
  target.metric.push_back(metric);
}

template <typename Pick>
std::uint64_t sum(const plugin::AdminView& view, Pick pick) {
  std::uint64_t total = 0;
  for (const Counters* const core : view.counters()) {
    total += pick(*core).read();
  }
  return total;
}

}  // namespace

std::string pressure_metrics_text(const PressureSources& sources) {
  const plugin::AdminView& view = sources.view;
  const MemoryBudget& memory = sources.memory;
  MetricFamily budget =
      family("skerry_memory_budget_bytes", "Memory that the process may use", MetricType::Gauge);
  add(budget, memory.limit_bytes());
  MetricFamily level =
      family("skerry_memory_pressure", "0 calm, 1 nothing new is taken, 2 full", MetricType::Gauge);
  add(level, static_cast<std::uint64_t>(memory.level()));
  MetricFamily trims =
      family("skerry_memory_trims_total", "Times freed memory was given back", MetricType::Counter);
  add(trims, sources.trims);

  const auto messages = sum(
      view, [](const Counters& core) -> auto& { return core.queues.messages; });
  const auto bytes = sum(
      view, [](const Counters& core) -> auto& { return core.queues.bytes; });
  const auto resident = sum(
      view, [](const Counters& core) -> auto& { return core.queues.resident_bytes; });
  MetricFamily queued = family("skerry_queued_messages", "QoS 1 and 2 messages waiting in sessions",
                               MetricType::Gauge);
  add(queued, messages);
  MetricFamily queued_bytes =
      family("skerry_queued_bytes", "Their bytes, in memory or on disk", MetricType::Gauge);
  add(queued_bytes, bytes);
  MetricFamily used = family("skerry_memory_used_bytes",
                             "Memory by what it is used for; total is "
                             "what is resident and counts against the budget",
                             MetricType::Gauge);
  add(used, memory.used_bytes(), "what", "total");
  add(used, resident, "what", "queues");
  add(used, messages * sizeof(session::Paged), "what", "queue_index");
  add(used,
      sum(
          view, [](const Counters& core) -> auto& { return core.output_bytes; }),
      "what", "output");
  add(used,
      sum(
          view, [](const Counters& core) -> auto& { return core.input_bytes; }),
      "what", "input");
  add(used,
      sum(
          view, [](const Counters& core) -> auto& { return core.retained_bytes; }),
      "what", "retained");
  add(used,
      sum(
          view, [](const Counters& core) -> auto& { return core.will_bytes; }),
      "what", "wills");
  MetricFamily slow = family("skerry_slow_consumers_ended_total",
                             "Connections ended because memory was short and they took nothing",
                             MetricType::Counter);
  add(slow, sum(
                view, [](const Counters& core) -> auto& { return core.slow_consumers; }));
  MetricFamily refused = family("skerry_memory_refused_total", "Refused because memory was short",
                                MetricType::Counter);
  for (std::size_t what = 0; what < refusals.size(); ++what) {
    add(refused,
        sum(
            view, [what](const Counters& core) -> auto& { return core.memory_refused[what]; }),
        "what", refusals[what]);
  }
  return prometheus::TextSerializer().Serialize(
      {budget, used, level, trims, queued, queued_bytes, slow, refused});
}

}  // namespace skerry::app
