// Connections that come and go: CONNECT, CONNACK, DISCONNECT, close, with TLS when the URL says so,
// full or resumed. Their number is bounded, because each one leaves an entry in the kernel's tables
// for a minute or two.
#pragma once

#include "clock.hpp"
#include "histogram.hpp"
#include "options.hpp"
#include "report.hpp"

namespace skerry::bench {

class ConnectLoad final : public Listener {
 public:
  struct Plan {
    std::uint32_t connections = 2'000;
    std::uint32_t at_once = 100;
  };
  ConnectLoad(const Common& common, const Plan& plan, std::string name);
  Report run();

  void on_open(ClientIndex client) override;
  void on_packet(ClientIndex client, const Packet& packet) override;

 private:
  void begin(ClientIndex place);

  Common common_;
  Plan plan_;
  std::string name_;
  Fleet fleet_;
  std::vector<std::int64_t> begun_at_;
  std::uint32_t begun_ = 0;
  std::uint32_t done_ = 0;
  std::uint32_t resumed_ = 0;
  std::uint32_t target_ = 0;
  Histogram latency_;
};

}  // namespace skerry::bench
