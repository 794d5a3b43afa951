// Retained messages, many, and subscribers that ask for all of them at once. A pair beside them
// exchanges a message each millisecond and shows whether the storm holds others up.
#pragma once

#include <optional>

#include "clock.hpp"
#include "histogram.hpp"
#include "options.hpp"
#include "report.hpp"

namespace skerry::bench {

class RetainedLoad final : public Listener {
 public:
  struct Plan {
    std::uint32_t messages = 100'000;
    std::uint32_t subscribers = 1;
    std::size_t payload_bytes = 64;
    bool clears = true;  ///< takes the messages away again at the end
  };
  RetainedLoad(const Common& common, const Plan& plan, std::string name);
  Report run();

  void on_open(ClientIndex client) override;
  void on_packet(ClientIndex client, const Packet& packet) override;

 private:
  // Places: a publisher, the two of the probe, then the subscribers.
  static constexpr ClientIndex publisher = 0;
  static constexpr ClientIndex probe_sender = 1;
  static constexpr ClientIndex probe_receiver = 2;
  static constexpr ClientIndex first_subscriber = 3;

  void connect_all();
  void store_all(std::size_t payload_bytes);
  void store_more();
  void probe_if_due();
  void probe_for(double seconds);
  double storm();
  void add_storm(Report& report, double seconds) const;

  Common common_;
  Plan plan_;
  std::string name_;
  Fleet fleet_;
  std::uint32_t ready_ = 0;
  std::uint32_t stored_ = 0;
  std::uint32_t acknowledged_ = 0;
  std::size_t stored_payload_bytes_ = 0;
  std::uint16_t receive_maximum_ = 1;
  std::int64_t probe_due_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t wrong_ = 0;
  Histogram probe_;
};

}  // namespace skerry::bench
