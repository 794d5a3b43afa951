// Many subscriptions, half of them with a wildcard: what one costs in memory, and what a message
// costs that matches one of them.
#pragma once

#include "clock.hpp"
#include "histogram.hpp"
#include "options.hpp"
#include "report.hpp"

namespace skerry::bench {

class SubscriptionLoad final : public Listener {
 public:
  struct Plan {
    std::uint32_t subscriptions = 100'000;
    std::uint32_t subscribers = 100;
    std::uint32_t window = 1;
  };
  SubscriptionLoad(const Common& common, const Plan& plan, std::string name);
  Report run();

  void on_open(ClientIndex client) override;
  void on_packet(ClientIndex client, const Packet& packet) override;

 private:
  ClientIndex publisher() const noexcept { return plan_.subscribers; }
  void connect_all();
  void subscribe_more(ClientIndex client);
  void subscribe_all();
  void publish();
  void run_for(double seconds);

  Common common_;
  Plan plan_;
  std::string name_;
  Fleet fleet_;
  std::vector<std::uint32_t> next_;  ///< of each subscriber: the number of its next filter
  std::uint32_t ready_ = 0;
  std::uint32_t answered_ = 0;
  bool is_publishing_ = false;
  std::uint64_t random_ = 88172645463325252ULL;
  std::uint64_t delivered_ = 0;
  std::uint64_t foreign_ = 0;
  Histogram latency_;
};

}  // namespace skerry::bench
