// The MQTT connection to the gateway, over Eclipse Paho C++: mutual TLS, the server verified by the
// pinned root and by its name, one message on its way at a time.
//
// Paho calls back on threads of its own; here that becomes a call on the owner's executor. What it
// keeps of a message lives as long as this process: across lost connections the same packet
// identifier is used again, so that QoS 2 arrives once. Decides nothing about when to connect or
// what to send.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "device/outgoing.hpp"
#include "base/now.hpp"

namespace skerry::agent {

struct UplinkOptions {
  std::string device;
  std::string host;
  std::uint16_t port = 8883;
  std::string roots_path;       ///< PEM
  std::string credential_path;  ///< PEM of key and certificate
  Milliseconds keep_alive{60'000};
};

/// Reason codes of MQTT 5; 0 when the gateway has said none.
using ReasonCode = int;

/// Called on the executor, never from inside a call to Uplink.
struct UplinkEvents {
  std::function<void(bool session_kept)> connected;
  std::function<void(ReasonCode, const std::string&)> connect_failed;
  std::function<void(ReasonCode)> lost;
  std::function<void(std::uint64_t serial)> delivered;
  std::function<void(std::uint64_t serial, ReasonCode)> undelivered;  ///< 0: not answered
};

class Uplink {
 public:
  Uplink(boost::asio::any_io_executor executor, UplinkOptions options, UplinkEvents events);
  /// Breaks off; blocks until Paho's threads are out of this object's hands.
  ~Uplink();
  Uplink(const Uplink&) = delete;
  Uplink& operator=(const Uplink&) = delete;

  /// Ends in connected or connect_failed.
  void connect();
  /// QoS 1 or 2. Ends in delivered or undelivered with this `serial`, perhaps many connections
  /// later.
  void send(std::uint64_t serial, const OutgoingMessage& message, int qos);
  /// DISCONNECT, and waits for it to leave, `patience` at most.
  void disconnect(Milliseconds patience) noexcept;
  bool is_connected() const noexcept;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace skerry::agent
