#include "traffic.hpp"

#include <algorithm>
#include <cstring>

#include "failure.hpp"
#include "telemetry.hpp"

namespace skerry::bench {
namespace {

constexpr std::uint32_t connects_at_once = 100;
constexpr std::int64_t answer_wait = 30 * second;
constexpr std::int64_t stall = second;
constexpr std::size_t output_bytes_max = 1024 * 1024;
constexpr std::size_t due_max = 100'000;  ///< of one publisher

/// The first bytes of every payload.
struct Stamp {
  std::int64_t due;
  std::uint32_t publisher;
  std::uint32_t slot;
};
static_assert(sizeof(Stamp) == payload_bytes_min);

}  // namespace

Traffic::Traffic(const Common& common, const Plan& plan, std::string name)
    : common_(common), plan_(plan), name_(std::move(name)), fleet_(common.fleet, *this) {
  plan_.payload_bytes = std::max(plan_.payload_bytes, payload_bytes_min);
  // Sensors that have been away: their samples lie in the past, so that none is in the future.
  first_sample_ms_ = epoch_milliseconds() - std::int64_t{6} * 24 * 3600 * 1000;
  clients_.resize(std::size_t{plan_.publishers} + plan_.subscribers);
  const std::vector<std::uint32_t> deliveries = deliveries_of(plan_);
  for (std::uint32_t publisher = 0; publisher < plan_.publishers; ++publisher) {
    clients_[publisher].deliveries = deliveries[publisher];
    if (deliveries[publisher] == 0) {
      throw Failure("nobody would hear publisher " + std::to_string(publisher) +
                    ": take more subscribers");
    }
  }
  connect_all();
}

void Traffic::connect_all() {
  const std::int64_t deadline = now() + answer_wait;
  const auto count = static_cast<std::uint32_t>(clients_.size());
  std::uint32_t begun = 0;
  std::uint32_t seen = 0;
  std::int64_t last_progress = now();
  while (ready_ < count) {
    for (; begun < count && begun - ready_ < connects_at_once; ++begun) {
      fleet_.open(begun, client_id_of(common_, begun));
    }
    fleet_.turn(100 * millisecond);
    if (ready_ != seen) {
      seen = ready_;
      last_progress = now();
      common_.progress("connecting " + std::to_string(ready_) + "/" + std::to_string(count));
    }
    if (now() > std::max(deadline, last_progress + answer_wait)) {
      throw Failure("the broker did not answer for 30 s; " + std::to_string(ready_) + " of " +
                    std::to_string(count) + " clients are connected");
    }
  }
}

void Traffic::on_open(ClientIndex client) {
  const bool stays = plan_.session_expiry != 0;
  append_connect(fleet_.output(client),
                 connect_fields(common_, client, stays ? plan_.session_expiry : 0));
}

void Traffic::prepare_publisher(ClientIndex index) {
  Client& client = clients_[index];
  const std::string topic = topic_of(plan_, index, client_id_of(common_, index));
  client.payload = plan_.shape == Shape::telemetry ? telemetry(first_sample_ms_, 0)
                                                   : std::string(plan_.payload_bytes, 'x');
  client.head = publish_head(topic, plan_.qos, false, client.payload.size(), common_.version());
  client.missing.assign(client.window, 0);
  client.sent_at.assign(client.window, 0);
}

std::int64_t Traffic::clock() noexcept {
  if (read_clock_ == 0) {
    read_clock_ = now();
  }
  return read_clock_;
}

void Traffic::on_packet(ClientIndex index, const Packet& packet) {
  Client& client = clients_[index];
  switch (packet.kind) {
    case Kind::publish:
      on_delivery(packet);
      if (packet.qos > 0) {
        append_acknowledgement(fleet_.output(index), packet.qos == 1 ? Kind::puback : Kind::pubrec,
                               packet.packet_id);
      }
      return;
    case Kind::pubrec:
      append_acknowledgement(fleet_.output(index), Kind::pubrel, packet.packet_id);
      return;
    case Kind::pubrel:
      append_acknowledgement(fleet_.output(index), Kind::pubcomp, packet.packet_id);
      return;
    case Kind::puback:
    case Kind::pubcomp:
      on_acknowledgement(index, packet);
      return;
    case Kind::connack:
      if (packet.reason != 0) {
        throw Failure("CONNACK with reason " + std::to_string(packet.reason));
      }
      client.window = std::clamp<std::uint32_t>(
          plan_.qos == 0 ? plan_.window
                         : std::min<std::uint32_t>(plan_.window, packet.receive_maximum),
          1, window_max);
      if (is_publisher(index)) {
        prepare_publisher(index);
        client.is_ready = true;
        ++ready_;
      } else {
        const std::string filter = filter_of(plan_, index - plan_.publishers);
        append_subscribe(fleet_.output(index), std::span(&filter, 1), plan_.qos, 1,
                         common_.version());
      }
      return;
    case Kind::suback:
      if (packet.reason >= 0x80) {
        throw Failure("SUBACK with reason " + std::to_string(packet.reason));
      }
      client.is_ready = true;
      ++ready_;
      return;
    case Kind::disconnect:
      throw Failure("the broker sent DISCONNECT with reason " + std::to_string(packet.reason));
    case Kind::pingresp:
    case Kind::connect:
    case Kind::subscribe:
      return;
  }
}

void Traffic::on_acknowledgement(ClientIndex index, const Packet& packet) {
  Client& client = clients_[index];
  if (packet.reason >= 0x80) {
    throw Failure("a message was refused with reason " + std::to_string(packet.reason));
  }
  if (plan_.shape == Shape::telemetry) {
    latency_.add(clock() - client.sent_at[client.acknowledged % client.window]);
    ++client.delivered;
    ++counts_.delivered;
  }
  ++client.acknowledged;
}

void Traffic::on_drained(ClientIndex client) {
  if (is_running_ && is_publisher(client)) {
    publish_allowed(client);
  }
  read_clock_ = 0;
}

void Traffic::on_delivery(const Packet& packet) {
  Stamp stamp{};
  if (packet.payload.size() < sizeof stamp) {
    throw Failure("a message came that nobody of ours has sent: use topics of your own");
  }
  std::memcpy(&stamp, packet.payload.data(), sizeof stamp);
  if (stamp.publisher >= plan_.publishers) {
    throw Failure("a message came that nobody of ours has sent: use topics of your own");
  }
  ++counts_.delivered;
  latency_.add(clock() - stamp.due);
  Client& publisher = clients_[stamp.publisher];
  std::uint32_t& missing = publisher.missing[stamp.slot % publisher.window];
  if (missing > 0 && --missing == 0) {
    ++publisher.delivered;
    if (is_running_) {
      publish_allowed(stamp.publisher);
    }
  }
}

bool Traffic::has_room(const Client& client) const noexcept {
  const std::uint64_t done =
      plan_.qos > 0 ? std::min(client.delivered, client.acknowledged) : client.delivered;
  return client.sent - std::min(done, client.sent) < client.window;
}

void Traffic::publish(ClientIndex index, std::int64_t due) {
  Client& client = clients_[index];
  const auto slot = static_cast<std::uint32_t>(client.sent % client.window);
  if (plan_.shape == Shape::telemetry) {
    client.sent_at[slot] = due;
    client.payload =
        telemetry(first_sample_ms_ + static_cast<std::int64_t>(client.sent) * 1000, client.sent);
  } else {
    const Stamp stamp{due, index, slot};
    std::memcpy(client.payload.data(), &stamp, sizeof stamp);
  }
  client.missing[slot] = client.deliveries;
  ++client.sent;
  ++counts_.sent;
  expected_ += client.deliveries;
  if (plan_.qos > 0) {
    const std::uint64_t id = client.sent % 65'535 + 1;
    client.head.bytes[client.head.id_offset] = static_cast<char>(id >> 8);
    client.head.bytes[client.head.id_offset + 1] = static_cast<char>(id & 0xFF);
  }
  fleet_.output(index).append(client.head.bytes).append(client.payload);
}

void Traffic::publish_allowed(ClientIndex index) {
  Client& client = clients_[index];
  if (plan_.rate > 0) {
    while (!client.due.empty() && has_room(client)) {
      publish(index, client.due.front());
      client.due.pop_front();
    }
    return;
  }
  if (!has_room(client)) {
    return;
  }
  const std::int64_t time = now();
  while (has_room(client)) {
    publish(index, time);
  }
}

/// At a rate: all that has come due, publisher by publisher. A message without an answer holds its
/// place in the window; what cannot be sent waits, and its latency goes on counting.
void Traffic::publish_due() {
  const std::int64_t time = now();
  const double interval = 1e9 / plan_.rate;
  for (;;) {
    const std::int64_t due =
        schedule_begin_ + static_cast<std::int64_t>(static_cast<double>(scheduled_) * interval);
    if (due > time) {
      return;
    }
    const auto index = static_cast<ClientIndex>(scheduled_++ % plan_.publishers);
    Client& client = clients_[index];
    if (client.due.empty() && has_room(client) && fleet_.output(index).size() < output_bytes_max) {
      publish(index, due);
    } else if (client.due.size() < due_max) {
      client.due.push_back(due);
    } else {
      ++counts_.given_up;
    }
  }
}

// A broker that drops messages would end a closed loop: after a second without a delivery all
// start again, and what was under way counts as lost.
void Traffic::write_off_if_stalled() {
  const std::int64_t time = now();
  if (counts_.delivered != progress_seen_) {
    progress_seen_ = counts_.delivered;
    progress_at_ = time;
    return;
  }
  if (time - progress_at_ <= stall) {
    return;
  }
  progress_at_ = time;
  for (ClientIndex index = 0; index < plan_.publishers; ++index) {
    Client& client = clients_[index];
    counts_.written_off += client.sent - std::min(client.sent, client.delivered);
    client.delivered = client.acknowledged = client.sent;
    std::fill(client.missing.begin(), client.missing.end(), 0);
    publish_allowed(index);
  }
}

void Traffic::run_until(std::int64_t end) {
  for (std::int64_t time = now(); time < end; time = now()) {
    std::int64_t wait = std::min<std::int64_t>(100 * millisecond, end - time);
    if (plan_.rate > 0) {
      publish_due();
      const std::int64_t next =
          schedule_begin_ +
          static_cast<std::int64_t>(static_cast<double>(scheduled_) * 1e9 / plan_.rate);
      wait = std::clamp<std::int64_t>(next - now(), 0, wait);
    }
    fleet_.turn(wait);
    read_clock_ = 0;
    write_off_if_stalled();
  }
}

/// Gives what is under way the time to arrive.
void Traffic::drain() {
  is_running_ = false;
  std::int64_t last = now();
  std::uint64_t seen = counts_.delivered;
  while (counts_.delivered < expected_ && now() - last < 2 * second) {
    fleet_.turn(10 * millisecond);
    read_clock_ = 0;
    if (counts_.delivered != seen) {
      seen = counts_.delivered;
      last = now();
    }
  }
}

void Traffic::part() {
  for (ClientIndex index = 0; index < clients_.size(); ++index) {
    if (fleet_.is_open(index)) {
      append_disconnect(fleet_.output(index), common_.version(), plan_.session_expiry != 0);
      fleet_.close(index, false);
    }
  }
}

Report Traffic::run() {
  is_running_ = true;
  schedule_begin_ = progress_at_ = now();
  for (ClientIndex index = 0; plan_.rate == 0 && index < plan_.publishers; ++index) {
    publish_allowed(index);
  }
  common_.progress("warming up");
  run_until(now() + nanoseconds(common_.warm_up_seconds));
  latency_.clear();
  const Counts before = counts_;
  const auto use_before = use_of(common_.broker);
  const double own_before = own_cpu_seconds();
  const std::int64_t begin = now();
  common_.progress("measuring");
  run_until(begin + nanoseconds(common_.seconds));
  const double seconds = static_cast<double>(now() - begin) / 1e9;
  const auto use_after = use_of(common_.broker);
  const double own = own_cpu_seconds() - own_before;
  const std::uint64_t delivered = counts_.delivered - before.delivered;
  const Histogram latency = latency_;
  drain();
  part();
  Report report(name_);
  report.add("delivered", static_cast<double>(delivered), "messages delivered");
  report.add("seconds", seconds, "in seconds");
  report.add("delivered_per_second", static_cast<double>(delivered) / seconds,
             "messages delivered a second");
  report.add("latency", latency, "latency");
  report.add_use(use_before, use_after, static_cast<double>(delivered) / 1e6);
  report.add("load_cpu_share", own / seconds, "share of a core that the load took");
  report.add("written_off", static_cast<double>(counts_.written_off), "given up after a stall");
  const std::uint64_t missing = expected_ - std::min(expected_, counts_.delivered);
  report.add("missing", static_cast<double>(missing), "sent and not delivered at the end");
  report.add("given_up", static_cast<double>(counts_.given_up),
             "due and never sent: the window was full");
  if (plan_.qos > 0 && missing > 0) {
    report.fail(std::to_string(missing) + " messages at QoS " + std::to_string(plan_.qos) +
                " did not arrive");
  }
  return report;
}

}  // namespace skerry::bench
