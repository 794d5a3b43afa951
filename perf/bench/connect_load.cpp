#include "connect_load.hpp"

#include <algorithm>

#include "failure.hpp"

namespace skerry::bench {

ConnectLoad::ConnectLoad(const Common& common, const Plan& plan, std::string name)
    : common_(common),
      plan_(plan),
      name_(std::move(name)),
      fleet_(common.fleet, *this),
      begun_at_(plan.at_once) {}

void ConnectLoad::begin(ClientIndex place) {
  if (begun_ == target_) {
    return;
  }
  ++begun_;
  begun_at_[place] = now();
  fleet_.open(place, client_id_of(common_, place));
}

void ConnectLoad::on_open(ClientIndex place) {
  append_connect(fleet_.output(place), connect_fields(common_, place));
}

void ConnectLoad::on_packet(ClientIndex place, const Packet& packet) {
  if (packet.kind != Kind::connack || packet.reason != 0) {
    throw Failure("CONNECT was answered with packet " +
                  std::to_string(static_cast<int>(packet.kind)) + ", reason " +
                  std::to_string(packet.reason));
  }
  latency_.add(now() - begun_at_[place]);
  resumed_ += fleet_.was_resumed(place) ? 1 : 0;
  ++done_;
  append_disconnect(fleet_.output(place), common_.version(), false);
  fleet_.close(place, false);
  begin(place);
}

Report ConnectLoad::run() {
  // The first of each place fill the cache of sessions, and warm the broker up.
  const auto run_to = [this](std::uint32_t target) {
    target_ = target;
    for (ClientIndex place = 0; place < std::min(plan_.at_once, target - begun_); ++place) {
      begin(place);
    }
    std::int64_t last = now();
    std::uint32_t seen = done_;
    while (done_ < target_) {
      fleet_.turn(100 * millisecond);
      if (done_ != seen) {
        seen = done_;
        last = now();
        common_.progress("connected " + std::to_string(done_) + "/" + std::to_string(target_));
      } else if (now() - last > 30 * second) {
        throw Failure("no connection was accepted for 30 s");
      }
    }
  };
  run_to(plan_.at_once);
  latency_.clear();
  resumed_ = 0;
  const auto use_before = use_of(common_.broker);
  const double own_before = own_cpu_seconds();
  const std::int64_t begin_at = now();
  run_to(plan_.at_once + plan_.connections);
  const double seconds = static_cast<double>(now() - begin_at) / 1e9;
  const double count = plan_.connections;
  Report report(name_);
  report.add("connections", count, "connections");
  report.add("connections_per_second", count / seconds, "connections a second");
  report.add("resumed", resumed_, "of them with a resumed TLS session");
  report.add("latency", latency_, "from connect() to CONNACK");
  if (const auto use_after = use_of(common_.broker); use_before && use_after) {
    report.add("broker_cpu_ms_per_connection",
               (use_after->cpu_seconds - use_before->cpu_seconds) / count * 1000,
               "CPU of the broker, ms per connection");
  }
  report.add("load_cpu_ms_per_connection", (own_cpu_seconds() - own_before) / count * 1000,
             "CPU of the load, ms per connection");
  if (common_.fleet.resumes && resumed_ < plan_.connections) {
    report.fail(std::to_string(plan_.connections - resumed_) + " connections were not resumed");
  }
  return report;
}

}  // namespace skerry::bench
