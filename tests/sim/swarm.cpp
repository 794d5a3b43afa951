#include "sim/swarm.hpp"

#include <array>

namespace skerry::sim {
namespace {

constexpr std::array<std::string_view, feature_count> names = {
    "old_version",  "qos0",           "qos1",         "qos2",         "short_sessions",
    "short_expiry", "clean_start",    "wills",        "will_delay",   "shared",
    "retained",     "message_expiry", "take_over",    "slow_readers", "slow_answers",
    "small_queue",  "small_output",   "small_window", "aliases",      "no_local",
    "identifiers",  "packet_size",    "unsubscribe",  "rights",       "topic_rights",
    "tap_stores",   "tap_rejects",    "tap_busy",     "write_fails",  "sync_fails",
    "disk_full",    "crash",          "restart",      "resets",       "half_open",
    "stalls",       "pieces",         "congestion",   "mailbox_full", "broker_messages",
    "violations",   "operator_ends",  "keep_alive"};

constexpr Time pauses[] = {2 * millisecond, 20 * millisecond, 100 * millisecond, 500 * millisecond};
constexpr Time delays[] = {10, millisecond, 10 * millisecond, 60 * millisecond};

constexpr std::uint64_t bit(Feature feature) {
  return std::uint64_t{1} << static_cast<unsigned>(feature);
}

}  // namespace

std::string_view name_of(Feature feature) noexcept {
  return names[static_cast<std::size_t>(feature)];
}

Feature feature_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i < feature_count; ++i) {
    if (names[i] == name) {
      return static_cast<Feature>(i);
    }
  }
  return Feature::count_;
}

Swarm::Swarm(std::uint64_t seed, std::uint64_t off) {
  Random random(seed ^ 0x5761726d);
  const std::uint64_t share = 100 + 100 * random.below(7);  // of a thousand
  for (std::size_t i = 0; i < feature_count; ++i) {
    features |= random.chance(share) ? std::uint64_t{1} << i : 0;
  }
  const std::uint64_t levels = bit(Feature::qos1) | bit(Feature::qos2);
  if ((features & levels) == 0) {
    features |= random.chance(500) ? bit(Feature::qos1) : bit(Feature::qos2);
  }
  features &= ~off;
  cores = static_cast<std::uint16_t>(1 + random.below(4));
  clients = static_cast<std::uint32_t>(2 + random.below(7));
  actions = static_cast<std::uint32_t>(60 + random.below(340));
  pause_max = pauses[random.below(std::size(pauses))];
  mail_max = delays[random.below(3)];
  commit_max = delays[random.below(std::size(delays))];
  link_max = delays[random.below(std::size(delays))];
  publish_weight = static_cast<std::uint32_t>(5 + random.below(40));
  limits.receive_maximum = static_cast<std::uint16_t>(8 + random.below(20));
  const std::uint64_t small = random.next();
  if (has(Feature::small_queue)) {
    limits.session_queue_messages_max = static_cast<std::uint32_t>(2 + small % 12);
    limits.group_queue_messages_max = static_cast<std::uint32_t>(2 + small / 16 % 12);
  }
  if (has(Feature::small_output)) {
    limits.output_bytes_max = 200 + small / 256 % 2000;
  }
  if (has(Feature::small_window)) {
    limits.receive_maximum = static_cast<std::uint16_t>(1 + small / 4096 % 5);
    limits.inflight_max = static_cast<std::uint16_t>(1 + small / 65536 % 6);
  }
}

std::string Swarm::text() const {
  std::string all = std::to_string(cores) + " cores, " + std::to_string(clients) + " clients, " +
                    std::to_string(actions) + " actions:";
  for (std::size_t i = 0; i < feature_count; ++i) {
    if (has(static_cast<Feature>(i))) {
      all.append(" ").append(names[i]);
    }
  }
  return all;
}

}  // namespace skerry::sim
