// Runs a Profile: every client has its own clock; latency counts from when a message was due.
#pragma once

#include <deque>
#include <queue>
#include <vector>

#include "clock.hpp"
#include "histogram.hpp"
#include "options.hpp"
#include "profile.hpp"
#include "report.hpp"

namespace skerry::bench {

class ProfileLoad final : public Listener {
 public:
  ProfileLoad(const Common& common, Profile profile, std::string name);
  Report run();

  void on_open(ClientIndex client) override;
  void on_packet(ClientIndex client, const Packet& packet) override;
  void on_closed(ClientIndex client, const std::string& why) override;

 private:
  struct Client {
    const Group* group = nullptr;
    bool is_ready = false;
    std::uint64_t sent = 0;
    std::int64_t opened_at = 0;
    std::uint16_t receive_maximum = 65'535;
    std::deque<std::pair<std::uint16_t, std::int64_t>> waiting;  ///< packet id, when it was due
  };
  struct Event {
    std::int64_t at;
    ClientIndex client;
    bool is_reconnect;
    bool operator>(const Event& other) const noexcept { return at > other.at; }
  };

  void open(ClientIndex client);
  void connect_all();
  void on_ready(ClientIndex client);
  void on_acknowledged(ClientIndex client, const Packet& packet);
  void schedule_first(std::int64_t begin);
  void work_due();
  void publish(ClientIndex client, std::int64_t due);
  void run_until(std::int64_t end);

  Common common_;
  Profile profile_;
  std::string name_;
  Fleet fleet_;
  std::vector<Client> clients_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint32_t ready_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t skipped_ = 0;  ///< due while the client was away or its window was full
  std::uint64_t delivered_ = 0;
  std::uint64_t lost_connections_ = 0;
  Histogram acknowledged_;
  Histogram delivered_latency_;
  Histogram reconnected_;
};

}  // namespace skerry::bench
