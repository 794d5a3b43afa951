#include "idle_load.hpp"

#include "clock.hpp"
#include "failure.hpp"

namespace skerry::bench {
namespace {

constexpr double settling_seconds = 2;

}  // namespace

IdleLoad::IdleLoad(const Common& common, const Plan& plan, std::string name)
    : common_(common), plan_(plan), name_(std::move(name)), fleet_(common.fleet, *this) {}

void IdleLoad::on_open(ClientIndex client) {
  append_connect(fleet_.output(client), connect_fields(common_, client));
}

void IdleLoad::on_packet(ClientIndex client, const Packet& packet) {
  if (packet.kind != Kind::connack || packet.reason != 0) {
    throw Failure("client " + std::to_string(client) + " was answered with packet " +
                  std::to_string(static_cast<int>(packet.kind)) + ", reason " +
                  std::to_string(packet.reason));
  }
  ++ready_;
}

void IdleLoad::connect_all() {
  std::uint32_t begun = 0;
  std::uint32_t seen = 0;
  std::int64_t last = now();
  while (ready_ < plan_.connections) {
    for (; begun < plan_.connections && begun - ready_ < plan_.at_once; ++begun) {
      fleet_.open(begun, client_id_of(common_, begun));
    }
    fleet_.turn(100 * millisecond);
    if (ready_ != seen) {
      seen = ready_;
      last = now();
      common_.progress("connected " + std::to_string(ready_) + "/" +
                       std::to_string(plan_.connections));
    } else if (now() - last > 30 * second) {
      throw Failure("no connection was accepted for 30 s");
    }
  }
}

void IdleLoad::rest(double seconds) {
  const std::int64_t end = now() + nanoseconds(seconds);
  while (now() < end) {
    fleet_.turn(100 * millisecond);
  }
}

Report IdleLoad::run() {
  const auto empty = use_of(common_.broker);
  const std::int64_t begin = now();
  connect_all();
  const double connecting = static_cast<double>(now() - begin) / 1e9;
  const auto connected = use_of(common_.broker);
  common_.progress("all are connected; resting");
  rest(settling_seconds);
  const auto before = use_of(common_.broker);
  rest(common_.seconds);
  const auto after = use_of(common_.broker);
  const double count = plan_.connections;
  Report report(name_);
  report.add("connections", count, "connections");
  report.add("connecting_seconds", connecting, "until all stood, s");
  if (empty && connected && before && after) {
    const double bytes =
        static_cast<double>(after->resident_bytes) - static_cast<double>(empty->resident_bytes);
    report.add("resident_bytes_per_connection", bytes / count,
               "resident memory of the broker per connection, B");
    report.add("broker_resident_mib", static_cast<double>(after->resident_bytes) / (1024 * 1024),
               "resident memory in all, MiB");
    report.add("broker_empty_mib", static_cast<double>(empty->resident_bytes) / (1024 * 1024),
               "resident memory before, MiB");
    report.add("broker_cpu_ms_per_connection",
               (connected->cpu_seconds - empty->cpu_seconds) / count * 1000,
               "CPU of the broker to connect one, ms");
    report.add("idle_cpu_percent",
               (after->cpu_seconds - before->cpu_seconds) / common_.seconds * 100,
               "CPU of the broker at rest, % of a core");
    report.add("idle_switches_per_second",
               static_cast<double>(after->switches - before->switches) / common_.seconds,
               "context switches of the broker at rest, a second");
  }
  for (ClientIndex client = 0; client < plan_.connections; ++client) {
    fleet_.close(client, true);
  }
  return report;
}

}  // namespace skerry::bench
