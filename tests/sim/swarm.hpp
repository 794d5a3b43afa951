// Swarm: what is on in one world and how much of it (swarm testing: each seed leaves most features
// out, so that the others meet in ways that a world with everything in it would hide).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "sim/random.hpp"

namespace skerry::sim {

enum class Feature : std::uint8_t {
  old_version,  ///< some clients speak 3.1.1
  qos0,
  qos1,
  qos2,
  short_sessions,  ///< sessions that end with their connection
  short_expiry,    ///< sessions that end after seconds
  clean_start,     ///< clients that throw their session away
  wills,
  will_delay,
  shared,  ///< shared subscriptions
  retained,
  message_expiry,
  take_over,
  slow_readers,
  slow_answers,
  small_queue,   ///< session and group queues of a few messages
  small_output,  ///< few unsent bytes
  small_window,  ///< Receive Maximum of a few, both ways
  aliases,
  no_local,
  identifiers,  ///< subscription identifiers
  packet_size,  ///< Maximum Packet Size of clients
  unsubscribe,
  rights,        ///< owners suspended, revoked, denied and let in again
  topic_rights,  ///< topics denied to subscribers in mid-life
  tap_stores,
  tap_rejects,
  tap_busy,
  write_fails,
  sync_fails,
  disk_full,
  crash,
  restart,
  resets,     ///< connections that break
  half_open,  ///< connections of which the server does not hear that they broke
  stalls,     ///< links that stand still for seconds
  pieces,     ///< bytes in pieces and lumps
  congestion,
  mailbox_full,
  broker_messages,  ///< messages that the broker itself publishes
  violations,       ///< clients that do not speak MQTT
  operator_ends,    ///< an operator ends connections and sessions
  keep_alive,
  count_,
};
inline constexpr std::size_t feature_count = static_cast<std::size_t>(Feature::count_);

std::string_view name_of(Feature feature) noexcept;
/// Feature::count_: there is no such feature.
Feature feature_of(std::string_view name) noexcept;

struct Swarm {
  /// Drawn from the seed alone; `off` has a bit for each feature that is left out all the same.
  Swarm(std::uint64_t seed, std::uint64_t off);

  bool has(Feature feature) const noexcept {
    return (features >> static_cast<unsigned>(feature) & 1) != 0;
  }
  /// Names of all that is on.
  std::string text() const;

  std::uint64_t features = 0;
  std::uint16_t cores = 1;
  std::uint32_t clients = 4;
  std::uint32_t actions = 200;        ///< of all clients together
  Time pause_max = 50 * millisecond;  ///< between two actions of one client
  Time mail_max = millisecond;        ///< from one core to another
  Time commit_max = 5 * millisecond;
  Time link_max = 5 * millisecond;
  std::uint32_t publish_weight = 10;  ///< beside 10 for all other actions
  Limits limits;
};

}  // namespace skerry::sim
