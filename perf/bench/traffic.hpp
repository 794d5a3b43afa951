// A run of messages. In a closed loop a publisher sends as long as fewer than its window of
// messages are under way; a message is under way until every subscriber that it is for has it, and
// at QoS 1 and 2 until the publisher has its PUBACK or PUBCOMP, so that dropping messages wins
// nothing. At a rate, messages are due by the clock, and their latency counts from when they were
// due, not from when they could be sent: waiting is not left out of the picture.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "clock.hpp"
#include "fleet.hpp"
#include "histogram.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "report.hpp"

namespace skerry::bench {

class Traffic final : public Listener {
 public:
  /// Connects everybody and subscribes. Throws Failure.
  Traffic(const Common& common, const Plan& plan, std::string name);

  Report run();

  void on_open(ClientIndex client) override;
  void on_packet(ClientIndex client, const Packet& packet) override;
  void on_drained(ClientIndex client) override;

 private:
  struct Client {
    bool is_ready = false;
    // Of a publisher only.
    PublishHead head;
    std::string payload;
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;     ///< messages that all their subscribers have
    std::uint64_t acknowledged = 0;  ///< at QoS 0 not looked at
    std::uint32_t window = 1;
    std::uint32_t deliveries = 1;
    std::vector<std::uint32_t> missing;  ///< deliveries of message `sequence % window`
    std::vector<std::int64_t> sent_at;   ///< of telemetry, likewise
    std::deque<std::int64_t> due;        ///< messages at a rate that wait for the window
  };
  struct Counts {
    std::uint64_t delivered = 0;
    std::uint64_t sent = 0;
    std::uint64_t written_off = 0;
    std::uint64_t given_up = 0;  ///< due and never sent: the window was full too long
  };

  bool is_publisher(ClientIndex client) const noexcept { return client < plan_.publishers; }
  void connect_all();
  void prepare_publisher(ClientIndex client);
  void on_delivery(const Packet& packet);
  void on_acknowledgement(ClientIndex client, const Packet& packet);
  bool has_room(const Client& client) const noexcept;
  void publish(ClientIndex client, std::int64_t due);
  void publish_allowed(ClientIndex client);
  void publish_due();
  void write_off_if_stalled();
  void run_until(std::int64_t end);
  void drain();
  void part();
  std::int64_t clock() noexcept;

  Common common_;
  Plan plan_;
  std::string name_;
  Fleet fleet_;
  std::vector<Client> clients_;  ///< publishers first
  std::uint32_t ready_ = 0;
  bool is_running_ = false;
  std::int64_t read_clock_ = 0;  ///< of this read; 0: not asked yet
  std::int64_t schedule_begin_ = 0;
  std::uint64_t scheduled_ = 0;
  std::uint64_t expected_ = 0;  ///< deliveries that the messages sent so far make
  Counts counts_;
  std::uint64_t progress_seen_ = 0;
  std::int64_t progress_at_ = 0;
  std::int64_t first_sample_ms_ = 0;
  Histogram latency_;
};

}  // namespace skerry::bench
