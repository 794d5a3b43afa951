#include "retained_load.hpp"

#include <algorithm>
#include <cstring>

#include "failure.hpp"

namespace skerry::bench {
namespace {

constexpr std::uint32_t window_max = 1'000;
constexpr std::int64_t probe_interval = millisecond;
const std::string probe_topic = "bench/probe";

std::string topic_of(std::uint32_t number) {
  return "bench/retained/" + std::to_string(number / 1000) + "/" + std::to_string(number);
}

}  // namespace

RetainedLoad::RetainedLoad(const Common& common, const Plan& plan, std::string name)
    : common_(common), plan_(plan), name_(std::move(name)), fleet_(common.fleet, *this) {}

void RetainedLoad::on_open(ClientIndex client) {
  append_connect(fleet_.output(client), connect_fields(common_, client));
}

void RetainedLoad::on_packet(ClientIndex client, const Packet& packet) {
  switch (packet.kind) {
    case Kind::connack:
      if (packet.reason != 0) {
        throw Failure("CONNACK with reason " + std::to_string(packet.reason));
      }
      if (client == publisher) {
        receive_maximum_ = packet.receive_maximum;
      }
      if (client == probe_receiver) {
        append_subscribe(fleet_.output(client), std::span(&probe_topic, 1), 0, 1,
                         common_.version());
      } else {
        ++ready_;
      }
      return;
    case Kind::suback:
      if (packet.reason >= 0x80) {
        throw Failure("SUBACK with reason " + std::to_string(packet.reason));
      }
      ready_ += client == probe_receiver ? 1 : 0;
      return;
    case Kind::puback:
      if (packet.reason >= 0x80) {
        throw Failure("a retained message was refused with reason " +
                      std::to_string(packet.reason) + " after " + std::to_string(acknowledged_));
      }
      ++acknowledged_;
      store_more();
      return;
    case Kind::publish:
      if (client == probe_receiver) {
        std::int64_t due = 0;
        std::memcpy(&due, packet.payload.data(), std::min(sizeof due, packet.payload.size()));
        probe_.add(now() - due);
      } else {
        ++received_;
        wrong_ += packet.retain && packet.payload.size() == plan_.payload_bytes ? 0 : 1;
      }
      return;
    default:
      throw Failure("the broker sent packet " + std::to_string(static_cast<int>(packet.kind)) +
                    " with reason " + std::to_string(packet.reason));
  }
}

void RetainedLoad::connect_all() {
  const ClientIndex count = first_subscriber + plan_.subscribers;
  for (ClientIndex client = 0; client < count; ++client) {
    fleet_.open(client, client_id_of(common_, client));
  }
  const std::int64_t deadline = now() + 30 * second;
  while (ready_ < count) {
    fleet_.turn(100 * millisecond);
    if (now() > deadline) {
      throw Failure("not all clients were answered within 30 s");
    }
  }
}

void RetainedLoad::store_more() {
  const std::uint32_t window = std::min<std::uint32_t>(window_max, receive_maximum_);
  while (stored_ < plan_.messages && stored_ - acknowledged_ < window) {
    PublishHead head =
        publish_head(topic_of(stored_), 1, true, stored_payload_bytes_, common_.version());
    const std::uint32_t id = stored_ % 65'535 + 1;
    head.bytes[head.id_offset] = static_cast<char>(id >> 8);
    head.bytes[head.id_offset + 1] = static_cast<char>(id & 0xFF);
    fleet_.output(publisher).append(head.bytes).append(stored_payload_bytes_, 'r');
    ++stored_;
  }
}

/// An empty payload takes the messages away (MQTT-3.3.1-6).
void RetainedLoad::store_all(std::size_t payload_bytes) {
  stored_payload_bytes_ = payload_bytes;
  stored_ = acknowledged_ = 0;
  store_more();
  std::int64_t last = now();
  std::uint32_t seen = 0;
  while (acknowledged_ < plan_.messages) {
    fleet_.turn(100 * millisecond);
    if (acknowledged_ != seen) {
      seen = acknowledged_;
      last = now();
      common_.progress((payload_bytes == 0 ? "cleared " : "stored ") + std::to_string(seen) + "/" +
                       std::to_string(plan_.messages));
    } else if (now() - last > 30 * second) {
      throw Failure("no PUBACK for 30 s");
    }
  }
}

void RetainedLoad::probe_if_due() {
  for (const std::int64_t time = now(); probe_due_ <= time; probe_due_ += probe_interval) {
    const PublishHead head =
        publish_head(probe_topic, 0, false, sizeof probe_due_, common_.version());
    char due[sizeof probe_due_];
    std::memcpy(due, &probe_due_, sizeof due);
    fleet_.output(probe_sender).append(head.bytes).append(due, sizeof due);
  }
}

void RetainedLoad::probe_for(double seconds) {
  probe_due_ = now();
  for (const std::int64_t end = now() + nanoseconds(seconds); now() < end;) {
    probe_if_due();
    fleet_.turn(std::clamp<std::int64_t>(probe_due_ - now(), 0, probe_interval));
  }
}

/// From the SUBSCRIBE of all until each has everything. Seconds.
double RetainedLoad::storm() {
  const std::string filter = "bench/retained/#";
  const std::int64_t begin = now();
  probe_due_ = begin;
  for (ClientIndex i = 0; i < plan_.subscribers; ++i) {
    append_subscribe(fleet_.output(first_subscriber + i), std::span(&filter, 1), 0, 1,
                     common_.version());
  }
  const std::uint64_t wanted = std::uint64_t{plan_.messages} * plan_.subscribers;
  std::int64_t last = begin;
  std::uint64_t seen = 0;
  while (received_ < wanted && now() - last < 5 * second) {
    probe_if_due();
    fleet_.turn(std::clamp<std::int64_t>(probe_due_ - now(), 0, probe_interval));
    if (received_ != seen) {
      seen = received_;
      last = now();
    }
  }
  return static_cast<double>(last - begin) / 1e9;
}

void RetainedLoad::add_storm(Report& report, double seconds) const {
  const std::uint64_t wanted = std::uint64_t{plan_.messages} * plan_.subscribers;
  report.add("received", static_cast<double>(received_), "retained messages received");
  report.add("storm_seconds", seconds, "until everybody had all, s");
  report.add("received_per_second", static_cast<double>(received_) / seconds,
             "retained messages a second");
  report.add("probe_in_storm", probe_, "a pair beside the storm");
  if (received_ < wanted) {
    report.fail(std::to_string(wanted - received_) + " of " + std::to_string(wanted) +
                " retained messages did not arrive");
  }
  if (wrong_ > 0) {
    report.fail(std::to_string(wrong_) + " messages were not as they had been stored");
  }
}

Report RetainedLoad::run() {
  connect_all();
  const auto empty = use_of(common_.broker);
  const std::int64_t begin = now();
  store_all(plan_.payload_bytes);
  const double storing = static_cast<double>(now() - begin) / 1e9;
  const auto full = use_of(common_.broker);
  const double count = plan_.messages;
  Report report(name_);
  report.add("messages", count, "retained messages");
  report.add("stored_per_second", count / storing, "stored a second, QoS 1");
  if (empty && full) {
    report.add(
        "resident_bytes_per_message",
        (static_cast<double>(full->resident_bytes) - static_cast<double>(empty->resident_bytes)) /
            count,
        "resident memory of the broker per message, B");
  }
  common_.progress("a quiet second, then the storm");
  probe_for(std::max(common_.warm_up_seconds, 0.1));
  report.add("probe_quiet", probe_, "a pair, quiet");
  probe_.clear();
  const auto before = use_of(common_.broker);
  const double seconds = storm();
  const auto after = use_of(common_.broker);
  add_storm(report, seconds);
  report.add_use(before, after, static_cast<double>(received_) / 1e6);
  if (plan_.clears) {
    for (ClientIndex i = 0; i < plan_.subscribers; ++i) {
      fleet_.close(first_subscriber + i, true);
    }
    store_all(0);
  }
  return report;
}

}  // namespace skerry::bench
