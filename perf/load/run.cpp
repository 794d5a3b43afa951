#include "run.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <utility>

#include "cpu_time.hpp"

namespace skerry::load {
namespace {

constexpr int events_max = 256;
constexpr std::int64_t stall_nanoseconds = 1'000'000'000;
constexpr std::size_t buckets = 512;  // 64 powers of two, eighths of each

std::int64_t now_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The first bytes of every payload.
struct Stamp {
  std::int64_t sent_at;
  std::uint32_t publisher;
  std::uint32_t slot;
};

}  // namespace

Run::Run(const Options& options, const Workload& workload)
    : options_(options),
      workload_(workload),
      tls_(make_tls(options)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      payload_(workload.payload_bytes, 'x'),
      latencies_(buckets) {
  if (workload_.telemetry) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    first_sample_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(now).count() -
                       std::int64_t{6} * 24 * 3600 * 1000;
    write_telemetry(0);
  }
  const std::uint32_t count = workload.publishers + workload.subscribers;
  clients_.resize(count);
  constexpr std::uint32_t at_once = 50;
  for (std::uint32_t begin = 0; begin < count; begin += at_once) {
    const std::uint32_t end = std::min(count, begin + at_once);
    for (std::uint32_t index = begin; index < end; ++index) {
      add_client(index);
    }
    wait_until_ready(begin, end);
  }
}

Run::~Run() {
  clients_.clear();
  SSL_CTX_free(tls_);
  ::close(epoll_);
}

std::string Run::topic_of(std::uint32_t publisher) const {
  if (workload_.telemetry) {
    return "devices/load-" + std::to_string(publisher) + "/telemetry";
  }
  if (workload_.fan_out) {
    return "load/all/0";
  }
  return "load/" + std::to_string(publisher % workload_.subscribers) + "/" +
         std::to_string(publisher);
}

std::string Run::filter_of(std::uint32_t subscriber) const {
  if (workload_.fan_out) {
    return "load/all/0";
  }
  const bool pairs = workload_.publishers == workload_.subscribers;
  return pairs ? topic_of(subscriber) : "load/" + std::to_string(subscriber) + "/+";
}

void Run::add_client(std::uint32_t index) {
  Client& client = clients_[index];
  client.connection = std::make_unique<Connection>(options_, tls_);
  append_connect(client.connection->output(), "load-" + std::to_string(index), options_.version);
  if (index < workload_.publishers) {
    client.head = publish_head(topic_of(index), workload_.qos, payload_.size(), options_.version);
  } else {
    append_subscribe(client.connection->output(), filter_of(index - workload_.publishers),
                     workload_.qos, options_.version);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.connection->descriptor(), &event);
  mark_dirty(index);
}

void Run::wait_until_ready(std::uint32_t begin, std::uint32_t end) {
  const std::int64_t deadline = now_nanoseconds() + 30 * stall_nanoseconds;
  for (std::uint32_t index = begin; index < end;) {
    if (clients_[index].ready) {
      ++index;
      continue;
    }
    if (now_nanoseconds() > deadline) {
      fail("client " + std::to_string(index) + " was not answered within 30 s");
    }
    turn(100);
  }
}

void Run::mark_dirty(std::uint32_t index) {
  Connection& connection = *clients_[index].connection;
  if (!connection.is_dirty) {
    connection.is_dirty = true;
    dirty_.push_back(index);
  }
}

void Run::flush(std::uint32_t index) {
  Connection& connection = *clients_[index].connection;
  const bool all = connection.flush();
  if (all == connection.waits_to_write) {
    connection.waits_to_write = !all;
    epoll_event event{};
    event.events = all ? EPOLLIN : EPOLLIN | EPOLLOUT;
    event.data.u32 = index;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.descriptor(), &event);
  }
}

void Run::turn(int timeout_milliseconds) {
  for (const std::uint32_t index : std::exchange(dirty_, {})) {
    clients_[index].connection->is_dirty = false;
    flush(index);
  }
  epoll_event events[events_max];
  const int count = ::epoll_wait(epoll_, events, events_max, timeout_milliseconds);
  for (int i = 0; i < count; ++i) {
    const std::uint32_t index = events[i].data.u32;
    if ((events[i].events & EPOLLOUT) != 0) {
      mark_dirty(index);
    }
    if ((events[i].events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
      on_readable(index);
    }
  }
}

void Run::on_readable(std::uint32_t index) {
  Connection& connection = *clients_[index].connection;
  const bool open = connection.read();
  std::string& input = connection.input();
  const std::string_view bytes = input;
  std::size_t at = 0;
  Packet packet;
  while (const std::size_t size = read_packet(bytes.substr(at), options_.version, packet)) {
    on_packet(index, packet);
    at += size;
  }
  input.erase(0, at);
  if (!open) {
    fail("the server closed the connection of client " + std::to_string(index));
  }
  if (index < workload_.publishers && running_) {
    publish_allowed(index);
  }
}

void Run::on_packet(std::uint32_t index, const Packet& packet) {
  Client& client = clients_[index];
  std::string& output = client.connection->output();
  switch (packet.kind) {
    case Kind::connack:
      if (packet.reason != 0) {
        fail("CONNACK with reason " + std::to_string(packet.reason));
      }
      client.ready = index < workload_.publishers;
      break;
    case Kind::suback:
      client.ready = true;
      break;
    case Kind::publish:
      on_delivery(packet);
      if (packet.qos > 0) {
        append_acknowledgement(output, packet.qos == 1 ? Kind::puback : Kind::pubrec,
                               packet.packet_id);
        mark_dirty(index);
      }
      break;
    case Kind::pubrec:
      append_acknowledgement(output, Kind::pubrel, packet.packet_id);
      mark_dirty(index);
      break;
    case Kind::pubrel:
      append_acknowledgement(output, Kind::pubcomp, packet.packet_id);
      mark_dirty(index);
      break;
    case Kind::puback:
    case Kind::pubcomp:
      if (workload_.telemetry) {
        if (packet.reason >= 0x80) {
          fail("telemetry was refused with reason " + std::to_string(packet.reason));
        }
        note_latency(client.sent_at[client.acknowledged % workload_.window]);
        ++client.delivered;
        ++delivered_;
      }
      ++client.acknowledged;
      break;
    case Kind::disconnect:
      fail("the server sent DISCONNECT to client " + std::to_string(index));
  }
}

void Run::note_latency(std::int64_t sent_at) {
  const auto nanoseconds = static_cast<double>(now_nanoseconds() - sent_at);
  const double bucket = std::log2(std::max(nanoseconds, 1.0)) * 8;
  ++latencies_[std::min(static_cast<std::size_t>(bucket), buckets - 1)];
}

/// A sample a second of five series, as a sensor would: decimals that wander, a counter, a flag.
/// Its size never changes.
void Run::write_telemetry(std::uint64_t sequence) {
  char text[160];
  const auto wave = static_cast<unsigned>(sequence * 7 % 1000);
  const int size = std::snprintf(
      text, sizeof text,
      "{\"ts\":%013lld,\"temperature\":2%01u.%02u,\"humidity\":4%01u.%01u,\"pressure\":10%02u.%01u,"
      "\"count\":1%09llu,\"on\":%s}",
      static_cast<long long>(first_sample_ms_ + static_cast<std::int64_t>(sequence) * 1000),
      wave / 100, wave % 100, wave / 100, wave % 10, wave / 10, wave % 10,
      static_cast<unsigned long long>(sequence % 1'000'000'000),
      sequence / 100 % 2 == 0 ? "true " : "false");
  payload_.assign(text, static_cast<std::size_t>(size));
}

void Run::on_delivery(const Packet& packet) {
  Stamp stamp{};
  std::memcpy(&stamp, packet.payload.data(), sizeof stamp);
  ++delivered_;
  note_latency(stamp.sent_at);
  Client& publisher = clients_[stamp.publisher];
  std::uint32_t& missing = publisher.missing[stamp.slot];
  if (missing > 0 && --missing == 0) {
    ++publisher.delivered;
    if (running_) {
      publish_allowed(stamp.publisher);
    }
  }
}

void Run::publish_allowed(std::uint32_t index) {
  Client& client = clients_[index];
  std::string& output = client.connection->output();
  const bool answered = workload_.qos > 0;
  while (true) {
    const std::uint64_t done =
        answered ? std::min(client.delivered, client.acknowledged) : client.delivered;
    if (client.sent - std::min(done, client.sent) >= workload_.window) {
      return;
    }
    const auto slot = static_cast<std::uint32_t>(client.sent % workload_.window);
    if (workload_.telemetry) {
      client.sent_at[slot] = now_nanoseconds();
      write_telemetry(client.sent);
    } else {
      const Stamp stamp{now_nanoseconds(), index, slot};
      std::memcpy(payload_.data(), &stamp, sizeof stamp);
    }
    client.missing[slot] = workload_.fan_out ? workload_.subscribers : 1;
    ++client.sent;
    if (answered) {
      const std::uint64_t id = client.sent % 65'535 + 1;
      client.head.bytes[client.head.id_offset] = static_cast<char>(id >> 8);
      client.head.bytes[client.head.id_offset + 1] = static_cast<char>(id & 0xFF);
    }
    output.append(client.head.bytes).append(payload_);
    mark_dirty(index);
  }
}

// A server that drops QoS 0 would end the loop: after a second without a delivery all start again.
void Run::write_off_if_stalled() {
  const std::int64_t now = now_nanoseconds();
  if (delivered_ != progress_seen_) {
    progress_seen_ = delivered_;
    progress_at_ = now;
  } else if (now - progress_at_ > stall_nanoseconds) {
    progress_at_ = now;
    for (std::uint32_t index = 0; index < workload_.publishers; ++index) {
      Client& client = clients_[index];
      written_off_ += client.sent - client.delivered;
      client.delivered = client.acknowledged = client.sent;
      client.missing.fill(0);
      publish_allowed(index);
    }
  }
}

double Run::latency_us(double quantile) const {
  std::uint64_t total = 0;
  for (const std::uint64_t count : latencies_) {
    total += count;
  }
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    seen += latencies_[bucket];
    if (total > 0 && static_cast<double>(seen) >= quantile * static_cast<double>(total)) {
      return std::exp2(static_cast<double>(bucket + 1) / 8) / 1000;
    }
  }
  return 0;
}

Figures Run::measure() {
  running_ = true;
  progress_at_ = now_nanoseconds();
  for (std::uint32_t index = 0; index < workload_.publishers; ++index) {
    publish_allowed(index);
  }
  const auto run_for = [this](double seconds) {
    const std::int64_t end = now_nanoseconds() + static_cast<std::int64_t>(seconds * 1e9);
    while (now_nanoseconds() < end) {
      turn(100);
      write_off_if_stalled();
    }
  };
  run_for(options_.warm_up_seconds);
  std::fill(latencies_.begin(), latencies_.end(), 0);
  const std::uint64_t delivered_before = delivered_;
  const std::uint64_t written_off_before = written_off_;
  const double server_before = cpu_seconds_of(options_.server_pid);
  const double own_before = own_cpu_seconds();
  const std::int64_t begin = now_nanoseconds();
  run_for(options_.seconds);
  Figures figures;
  figures.seconds = static_cast<double>(now_nanoseconds() - begin) / 1e9;
  figures.server_cpu_seconds = cpu_seconds_of(options_.server_pid) - server_before;
  figures.client_cpu_seconds = own_cpu_seconds() - own_before;
  figures.delivered = delivered_ - delivered_before;
  figures.written_off = written_off_ - written_off_before;
  figures.latency_p50_us = latency_us(0.5);
  figures.latency_p99_us = latency_us(0.99);
  return figures;
}

}  // namespace skerry::load
