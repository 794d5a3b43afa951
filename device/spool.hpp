// Store and forward: what the device has to say waits here, on disk, until the gateway has
// acknowledged it. Alarms go before telemetry, each in its order; one budget of bytes for both, and
// when it is used up the oldest telemetry goes first, alarms only when no telemetry is left.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/spool_queue.hpp"

namespace skerry::agent {

enum class Urgency : std::uint8_t { alarm, telemetry };

struct SpoolOptions {
  std::string directory;
  BootId boot{};
  std::size_t bytes_max = 16 * 1024 * 1024;
  Milliseconds age_max{std::chrono::hours{72}};  ///< of telemetry; alarms do not age
};

class Spool {
 public:
  /// Throws std::system_error.
  explicit Spool(SpoolOptions options);

  /// Stored: it outlives a crash of the agent, and an alarm one of the machine as well. False:
  /// there is no room that it may take, or the disk refuses; counted.
  bool append(Urgency urgency, std::string_view body, const SpoolTime& now);

  /// Which queue is to be sent from; nullopt: all is sent.
  std::optional<Urgency> next() const noexcept;

  SpoolQueue& queue(Urgency urgency) noexcept {
    return urgency == Urgency::alarm ? alarms_ : telemetry_;
  }
  const SpoolQueue& queue(Urgency urgency) const noexcept {
    return urgency == Urgency::alarm ? alarms_ : telemetry_;
  }

  /// A smaller one takes effect with the next append, which gives up what is over it.
  void set_limits(std::size_t bytes_max, Milliseconds age_max) noexcept;

  /// Makes telemetry durable against a crash of the machine: every few seconds.
  void sync() noexcept { telemetry_.sync(); }

  std::size_t bytes() const noexcept { return alarms_.bytes() + telemetry_.bytes(); }
  /// Records that were not taken at all since the agent has started.
  std::uint64_t not_taken() const noexcept { return not_taken_; }

 private:
  bool make_room(Urgency urgency, std::size_t bytes);

  SpoolOptions options_;
  SpoolQueue alarms_;
  SpoolQueue telemetry_;
  std::uint64_t not_taken_ = 0;
};

/// Of the running machine; zeros when the kernel does not tell.
BootId read_boot_id();
SpoolTime read_spool_time() noexcept;

}  // namespace skerry::agent
