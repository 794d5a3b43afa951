// A closed loop: a publisher sends as long as fewer than its window of messages are under way. A
// message is under way until every subscriber that it is for has it, and at QoS 1 and 2 until the
// publisher has its PUBACK or PUBCOMP, so that dropping messages wins nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connection.hpp"
#include "options.hpp"
#include "wire.hpp"
#include "workload.hpp"

namespace skerry::load {

/// What was seen between the end of the warm-up and the end of the run.
struct Figures {
  std::uint64_t delivered = 0;
  std::uint64_t written_off = 0;  ///< credit given back after a second without progress
  double seconds = 0;
  double server_cpu_seconds = 0;
  double client_cpu_seconds = 0;
  double latency_p50_us = 0;
  double latency_p99_us = 0;
};

/// One thread, one epoll set. Belongs to the thread that made it.
class Run {
 public:
  /// Connects everybody and subscribes.
  Run(const Options& options, const Workload& workload);
  ~Run();

  Figures measure();

 private:
  static constexpr std::uint32_t window_max = 64;

  struct Client {
    std::unique_ptr<Connection> connection;
    bool ready = false;
    // Of a publisher only.
    PublishHead head;
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;                      ///< messages that all their subscribers have
    std::uint64_t acknowledged = 0;                   ///< at QoS 0 not looked at
    std::array<std::uint32_t, window_max> missing{};  ///< deliveries of message `sequence % window`
    std::array<std::int64_t, window_max> sent_at{};   ///< of telemetry, likewise
  };

  void add_client(std::uint32_t index);
  void wait_until_ready(std::uint32_t begin, std::uint32_t end);
  std::string topic_of(std::uint32_t publisher) const;
  std::string filter_of(std::uint32_t subscriber) const;
  /// One epoll round: reads, answers, publishes, flushes.
  void turn(int timeout_milliseconds);
  void on_readable(std::uint32_t index);
  void on_packet(std::uint32_t index, const Packet& packet);
  void on_delivery(const Packet& packet);
  void publish_allowed(std::uint32_t publisher);
  void note_latency(std::int64_t sent_at);
  void write_telemetry(std::uint64_t sequence);
  void mark_dirty(std::uint32_t index);
  void flush(std::uint32_t index);
  void write_off_if_stalled();
  double latency_us(double quantile) const;

  Options options_;
  Workload workload_;
  SSL_CTX* tls_;
  int epoll_;
  std::vector<Client> clients_;  ///< publishers first
  std::vector<std::uint32_t> dirty_;
  std::string payload_;
  std::int64_t first_sample_ms_ = 0;  ///< time of each publisher's first telemetry
  bool running_ = false;
  std::uint64_t delivered_ = 0;
  std::uint64_t written_off_ = 0;
  std::uint64_t progress_seen_ = 0;
  std::int64_t progress_at_ = 0;
  std::vector<std::uint64_t> latencies_;  ///< counts per bucket of an eighth of a power of two
};

}  // namespace skerry::load
