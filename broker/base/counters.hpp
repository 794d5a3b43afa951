// Counters of one core: plain integers, written by that core alone with relaxed atomics so that the
// metrics endpoint may read them at any time. No lock, no shared cache line between cores.
#pragma once

#include <atomic>
#include <cstdint>

namespace skerry {

/// A number that one thread changes and any thread may read.
class Counter {
 public:
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) - amount, std::memory_order_relaxed);
  }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t read() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Why a message that matched a subscription did not reach its client.
enum class DropReason : std::uint8_t {
  queue_full,      ///< the session's queue was at its cap in messages or bytes
  output_full,     ///< QoS 0 and the connection had too many unsent bytes
  expired,         ///< Message Expiry Interval passed while it waited
  too_large,       ///< larger than the client's Maximum Packet Size [MQTT-3.1.2-24]
  mailbox_full,    ///< QoS 0 and the queue to the subscriber's core was full
  not_authorized,  ///< the subscriber lost its right between SUBSCRIBE and delivery
  no_member,       ///< a shared group had nobody to take it and no queue
  unreadable,      ///< its record on disk was damaged or gone when its turn came
  memory,          ///< under the cap of a calm day, but the process was short of memory
  listener_full,   ///< QoS 0 and the outputs of its listener held too much, and it much of that
  count_
};

/// What waits in the queues of all sessions of a core.
struct QueueUsage {
  Counter messages;
  Counter bytes;           ///< of these messages, in memory or on disk
  Counter resident_bytes;  ///< of those that are in memory; what many wait for counts each time
};

/// What was refused because the process was short of memory.
enum class MemoryRefusal : std::uint8_t {
  connection,
  subscription,
  publish,
  retained,
  packet,
  count_
};

/// Why a connection was closed before anything was done for it.
enum class ShedReason : std::uint8_t {
  total,                ///< limits.connections_max, or the descriptors of the process
  listener,             ///< connections_max of the listener
  address_connections,  ///< limits.address_connections_max
  address_rate,         ///< limits.address_accepts_per_second
  unattached,           ///< limits.unattached_max: gave way to somebody new, or was one too many
  stalled,              ///< limits.handshakes_max: silent in the middle of its handshake
  waited,               ///< limits.handshake_wait_max
  closed,               ///< the server takes nobody now; see net::Server::close_doors()
  count_
};

/// What the cores count; see docs/metrics in README of broker/app for the exported names.
struct alignas(64) Counters {
  Counter connections_open;
  Counter connections_accepted;
  Counter connections_refused;  ///< accepted and closed without a CONNACK that says success
  Counter sessions;
  Counter sessions_persistent;
  Counter subscriptions;
  Counter retained_messages;
  Counter retained_bytes;
  Counter messages_received[3];  ///< PUBLISH by QoS
  Counter messages_sent[3];
  Counter matched;  ///< deliveries that messages came to, before any was dropped
  Counter bytes_received;
  Counter bytes_sent;
  Counter publishes_denied;
  Counter subscribes_denied;
  Counter telemetry_rejected;
  Counter protocol_errors;
  Counter take_overs;
  Counter keep_alive_timeouts;
  Counter plugin_exceptions;
  Counter wills_published;
  Counter broker_messages;  ///< published by the broker itself
  Counter rights_ended;     ///< sessions that lost a right they had, and what hung on it
  Counter commit_failures;
  Counter durable_refused;  ///< durable work refused because disk space had run low
  Counter reads_paused;     ///< times a connection was not read because we were behind
  QueueUsage queues;
  Counter messages_read_back;  ///< of paged queues, from disk
  Counter output_bytes;        ///< memory of what is written and not yet sent
  Counter input_bytes;         ///< of packets that are not complete yet
  Counter will_bytes;          ///< of wills that may be published
  Counter slow_consumers;      ///< connections ended because they held most and took nothing
  Counter memory_refused[static_cast<int>(MemoryRefusal::count_)];
  Counter shed[static_cast<int>(ShedReason::count_)];
  Counter accepts_deferred;        ///< times nobody was accepted because of the rate of all
  Counter unattached;              ///< connections that have not been let in yet
  Counter handshakes_waiting;      ///< those of them in line for the processor
  Counter handshakes_open;         ///< TLS handshakes begun and not ended
  Counter handshakes_done;         ///< ended well
  Counter handshakes_failed;       ///< ended otherwise, once begun
  Counter handshake_microseconds;  ///< time of the core in handshakes
  Counter connects_rate_limited;   ///< CONNECT answered with Connection rate exceeded
  Counter rates_held;              ///< times a client was not read because it was too fast
  Counter rates_disconnected;      ///< clients that heard Message rate too high
  Counter dropped[static_cast<int>(DropReason::count_)];
};

}  // namespace skerry
