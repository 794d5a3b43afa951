#include "healthy.hpp"

#include <sys/epoll.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "../load/connection.hpp"
#include "../load/wire.hpp"
#include "latencies.hpp"

namespace skerry::flood {
namespace {

constexpr std::size_t payload_bytes = 64;
constexpr std::size_t ids_max = 65'536;

struct Client {
  std::unique_ptr<load::Connection> connection;
  load::PublishHead head;
  std::uint32_t sent = 0;
  std::vector<std::int64_t> sent_at;  // by packet id
  bool ready = false;
};

class Healthy {
 public:
  explicit Healthy(const Options& options)
      : options_(options),
        tls_(load::make_tls(options.server)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        pairs_(static_cast<std::size_t>(options.count / 2)),
        clients_(2 * pairs_) {
    for (std::size_t index = 0; index < clients_.size(); ++index) {
      open(index);
    }
  }

  void run() {
    while (ready_ < clients_.size()) {
      turn(10);
    }
    const std::int64_t begin = now_nanoseconds();
    const auto warm = begin + std::int64_t{1'000'000'000};
    const auto end = warm + static_cast<std::int64_t>(options_.seconds * 1e9);
    const double interval = 1e9 / options_.rate;
    double next = static_cast<double>(begin);
    std::size_t publisher = 0;
    for (std::int64_t now = begin; now < end; now = now_nanoseconds()) {
      measuring_ = now >= warm;
      while (next <= static_cast<double>(now)) {
        publish(publisher++ % pairs_);
        next += interval;
      }
      turn(1);
    }
    measuring_ = false;
    const std::int64_t patience = now_nanoseconds() + std::int64_t{5'000'000'000};
    while (delivered_ < published_ && now_nanoseconds() < patience) {
      turn(10);
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

 private:
  bool is_publisher(std::size_t index) const { return index < pairs_; }
  std::string topic(std::size_t pair) const {
    return "healthy/" + options_.name + "/" + std::to_string(pair);
  }

  void open(std::size_t index) {
    Client& client = clients_[index];
    client.connection = std::make_unique<load::Connection>(options_.server, tls_);
    std::string& out = client.connection->output();
    const std::string name = options_.name + "-" + std::to_string(index);
    const bool keeps = options_.durable && !is_publisher(index);
    load::append_connect(out, name, 5, keeps ? 3'600 : 0);
    if (is_publisher(index)) {
      client.head = load::publish_head(topic(index), 1, payload_bytes, 5);
      client.sent_at.resize(ids_max);
    } else {
      load::append_subscribe(out, topic(index - pairs_), 1, 5);
    }
    client.connection->flush();
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.connection->descriptor(), &event);
    while (!client.ready && lost_ == 0) {
      turn(10);
    }
  }

  void publish(std::size_t index) {
    Client& client = clients_[index];
    if (client.connection == nullptr) {
      return;
    }
    const std::uint32_t id = client.sent++ % 65'535 + 1;
    client.head.bytes[client.head.id_offset] = static_cast<char>(id >> 8);
    client.head.bytes[client.head.id_offset + 1] = static_cast<char>(id & 0xFF);
    std::array<char, payload_bytes> payload{};
    const std::int64_t now = now_nanoseconds();
    client.sent_at[id] = now;
    std::memcpy(payload.data(), &now, sizeof now);
    client.connection->output().append(client.head.bytes).append(payload.data(), payload.size());
    client.connection->flush();
    ++published_;
  }

  void turn(int timeout) {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
    for (int i = 0; i < count; ++i) {
      read(static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64));
    }
  }

  void read(std::size_t index) {
    Client& client = clients_[index];
    if (client.connection == nullptr) {
      return;
    }
    const bool alive = client.connection->read();
    std::string& input = client.connection->input();
    std::size_t at = 0;
    load::Packet packet;
    while (const std::size_t size =
               load::read_packet(std::string_view(input).substr(at), 5, packet)) {
      on_packet(client, packet);
      at += size;
    }
    input.erase(0, at);
    if (alive) {
      client.connection->flush();
    } else {
      ++lost_;
      client.connection.reset();
    }
  }

  void on_packet(Client& client, const load::Packet& packet) {
    const std::int64_t now = now_nanoseconds();
    switch (packet.kind) {
      case load::Kind::connack:
      case load::Kind::suback:
        if (!client.ready && (client.head.bytes.empty() == (packet.kind == load::Kind::suback))) {
          client.ready = true;
          ++ready_;
        }
        return;
      case load::Kind::publish: {
        std::int64_t sent_at = 0;
        std::memcpy(&sent_at, packet.payload.data(), sizeof sent_at);
        ++delivered_;
        if (measuring_) {
          deliveries_.add(now - sent_at);
        }
        load::append_acknowledgement(client.connection->output(), load::Kind::puback,
                                     packet.packet_id);
        return;
      }
      case load::Kind::puback:
        if (measuring_) {
          acknowledgements_.add(now - client.sent_at[packet.packet_id]);
        }
        return;
      default:
        return;
    }
  }

  const Options& options_;
  SSL_CTX* tls_;
  int epoll_;
  std::size_t pairs_;
  std::vector<Client> clients_;  // publishers first
  std::size_t ready_ = 0;
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
