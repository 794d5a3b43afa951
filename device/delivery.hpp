// What is sent next, and what becomes of it: the spool on one side, a link on the other. One
// message is on its way at a time; alarms at QoS 2, so that each arrives once, telemetry at QoS 1
// in batches, because the twin keeps equal readings of one instant once.
//
//   idle ──pump──▶ on its way ──delivered──▶ finished, pump
//                      │ refused for good ▶ one by one, then given up and counted
//                      │ refused for now  ▶ held back, then sent again
//                      └ session lost     ▶ sent again
//
// Knows no socket, no thread and no clock.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "device/backoff.hpp"
#include "device/outgoing.hpp"
#include "device/spool.hpp"

namespace skerry::agent {

struct DeliveryCounters {
  std::uint64_t messages = 0;  ///< acknowledged
  std::uint64_t records = 0;   ///< in them
  std::uint64_t repeated = 0;  ///< sent again
};

/// One thread.
class Delivery {
 public:
  using Send = std::function<void(std::uint64_t serial, const OutgoingMessage&, int qos)>;

  Delivery(Spool& spool, std::string device, Send send)
      : spool_(spool), device_(std::move(device)), send_(std::move(send)) {}

  /// Sends when there is something, the link is up, nothing is on its way and nothing holds it
  /// back.
  void pump(const SpoolTime& now, SteadyTime steady);

  /// `session_kept`: what is on its way will still be acknowledged.
  void link_up(bool session_kept);
  void link_down() noexcept { up_ = false; }
  /// The link has forgotten what was on its way.
  void link_replaced() noexcept;

  void delivered(std::uint64_t serial);
  /// `reason` of MQTT 5 or 0; `random` for the wait when it was refused for now.
  void undelivered(std::uint64_t serial, int reason, SteadyTime now, std::uint64_t random);

  bool on_its_way() const noexcept { return in_flight_.has_value(); }
  std::optional<SteadyTime> held_until() const noexcept { return held_until_; }
  const DeliveryCounters& counters() const noexcept { return counters_; }

 private:
  struct InFlight {
    std::uint64_t serial = 0;
    Urgency urgency = Urgency::telemetry;
    std::uint64_t last = 0;
    std::size_t records = 0;
  };

  bool send_next(const SpoolTime& now);
  void refused_for_good();

  Spool& spool_;
  std::string device_;
  Send send_;
  bool up_ = false;
  std::uint64_t serial_ = 0;
  std::optional<InFlight> in_flight_;
  std::optional<SteadyTime> held_until_;
  Backoff backoff_{std::chrono::seconds{1}, std::chrono::minutes{1}};
  std::size_t one_by_one_ = 0;  ///< so many records go alone, because one of them was refused
  DeliveryCounters counters_;
};

}  // namespace skerry::agent
