// Connections that say nothing: what each costs the broker in memory, and all of them in CPU time.
#pragma once

#include "options.hpp"
#include "report.hpp"

namespace skerry::bench {

class IdleLoad final : public Listener {
 public:
  struct Plan {
    std::uint32_t connections = 10'000;
    std::uint32_t at_once = 100;
  };
  IdleLoad(const Common& common, const Plan& plan, std::string name);
  Report run();

  void on_open(ClientIndex client) override;
  void on_packet(ClientIndex client, const Packet& packet) override;

 private:
  void connect_all();
  void rest(double seconds);

  Common common_;
  Plan plan_;
  std::string name_;
  Fleet fleet_;
  std::uint32_t ready_ = 0;
};

}  // namespace skerry::bench
