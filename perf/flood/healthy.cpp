#include "healthy.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "clock.hpp"
#include "latencies.hpp"

namespace skerry::flood {
namespace {

using bench::ClientIndex;
using bench::Kind;

constexpr std::size_t payload_bytes = 64;
constexpr std::size_t ids_max = 65'536;
constexpr std::int64_t patience = 5 * bench::second;

struct Client {
  bench::PublishHead head;
  std::uint32_t sent = 0;
  std::vector<std::int64_t> sent_at;  // by packet id
  bool ready = false;
};

class Healthy final : public bench::Listener {
 public:
  explicit Healthy(const Options& options)
      : options_(options),
        fleet_(options.server, *this),
        pairs_(options.count / 2),
        clients_(2 * std::size_t{pairs_}) {
    for (ClientIndex index = 0; index < clients_.size(); ++index) {
      fleet_.open(index, name_of(index));
      while (!clients_[index].ready && lost_ == 0) {
        fleet_.turn(10 * bench::millisecond);
      }
    }
  }

  void run() {
    const std::int64_t begin = bench::now();
    const std::int64_t warm = begin + bench::second;
    const std::int64_t end = warm + bench::nanoseconds(options_.seconds);
    const double interval = static_cast<double>(bench::second) / options_.rate;
    double next = static_cast<double>(begin);
    ClientIndex publisher = 0;
    for (std::int64_t now = begin; now < end; now = bench::now()) {
      measuring_ = now >= warm;
      while (next <= static_cast<double>(now)) {
        publish(publisher++ % pairs_);
        next += interval;
      }
      fleet_.turn(bench::millisecond);
    }
    measuring_ = false;
    const std::int64_t last = bench::now() + patience;
    while (delivered_ < published_ && bench::now() < last) {
      fleet_.turn(10 * bench::millisecond);
    }
  }

  void print() {
    std::printf(
        "{\"published\":%llu,\"undelivered\":%llu,\"lost_connections\":%llu,\"p50_ms\":%.3f,"
        "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"ack_p99_ms\":%.3f}\n",
        static_cast<unsigned long long>(published_),
        static_cast<unsigned long long>(published_ - delivered_),
        static_cast<unsigned long long>(lost_), deliveries_.quantile(0.5),
        deliveries_.quantile(0.99), deliveries_.quantile(1), acknowledgements_.quantile(0.99));
  }

  void on_open(ClientIndex index) override {
    std::string& out = fleet_.output(index);
    bench::ConnectFields connect{.client_id = name_of(index), .user_name = {}, .password = {}};
    if (is_publisher(index)) {
      clients_[index].head = bench::publish_head(topic(index), 1, false, payload_bytes, 5);
      clients_[index].sent_at.resize(ids_max);
    } else if (options_.durable) {
      connect.session_expiry = 3'600;
    }
    bench::append_connect(out, connect);
    if (!is_publisher(index)) {
      const std::array filters{topic(index - pairs_)};
      bench::append_subscribe(out, filters, 1, 1, 5);
    }
  }

  void on_packet(ClientIndex index, const bench::Packet& packet) override {
    Client& client = clients_[index];
    const std::int64_t now = bench::now();
    switch (packet.kind) {
      case Kind::connack:
        client.ready = is_publisher(index) && packet.reason == 0;
        return;
      case Kind::suback:
        client.ready = packet.reason < 0x80;
        return;
      case Kind::publish: {
        std::int64_t sent_at = 0;
        std::memcpy(&sent_at, packet.payload.data(), sizeof sent_at);
        ++delivered_;
        if (measuring_) {
          deliveries_.add(now - sent_at);
        }
        bench::append_acknowledgement(fleet_.output(index), Kind::puback, packet.packet_id);
        return;
      }
      case Kind::puback:
        if (measuring_) {
          acknowledgements_.add(now - client.sent_at[packet.packet_id]);
        }
        return;
      default:
        return;
    }
  }

  void on_closed(ClientIndex, const std::string&) override { ++lost_; }

 private:
  bool is_publisher(ClientIndex index) const { return index < pairs_; }
  std::string name_of(ClientIndex index) const {
    return options_.name + "-" + std::to_string(index);
  }
  std::string topic(ClientIndex pair) const {
    return "healthy/" + options_.name + "/" + std::to_string(pair);
  }

  void publish(ClientIndex index) {
    if (!fleet_.is_open(index)) {
      return;
    }
    Client& client = clients_[index];
    const std::uint32_t id = client.sent++ % 65'535 + 1;
    client.head.bytes[client.head.id_offset] = static_cast<char>(id >> 8);
    client.head.bytes[client.head.id_offset + 1] = static_cast<char>(id & 0xFF);
    std::array<char, payload_bytes> payload{};
    const std::int64_t now = bench::now();
    client.sent_at[id] = now;
    std::memcpy(payload.data(), &now, sizeof now);
    fleet_.output(index).append(client.head.bytes).append(payload.data(), payload.size());
    ++published_;
  }

  const Options& options_;
  bench::Fleet fleet_;
  ClientIndex pairs_;
  std::vector<Client> clients_;  // publishers first
  bool measuring_ = false;
  std::uint64_t published_ = 0;
  std::uint64_t delivered_ = 0;
  std::uint64_t lost_ = 0;
  Latencies deliveries_;
  Latencies acknowledgements_;
};

}  // namespace

void run_healthy(const Options& options) {
  Healthy healthy(options);
  std::printf("ready\n");
  std::fflush(stdout);
  healthy.run();
  healthy.print();
}

}  // namespace skerry::flood
