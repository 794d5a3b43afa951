// AdminView: what the admin side may see of the cores and the few things it may ask of them. Every
// call is carried to each core as a message and answered there in slices; nothing is shared.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.hpp"
#include "mqtt/packet.hpp"
#include "mqtt/reason.hpp"
#include "plugin/presence.hpp"
#include "storage/status.hpp"

namespace skerry::plugin {

/// One client as the admin side sees it.
struct ClientInfo {
  std::string owner;  ///< `device:<id>`, …
  std::string client_id;
  bool connected = false;
  std::string peer_address;
  std::string certificate_serial;  ///< of what opened it; empty without a certificate
  std::uint8_t protocol_version = 5;
  std::uint32_t subscription_count = 0;
  std::uint32_t queued_messages = 0;
};

/// A message that the broker itself publishes: what the topic table marks with "broker". Owned, so
/// that it can be carried to a core.
struct BrokerMessage {
  std::string topic;    ///< a topic name without wildcards
  std::string payload;  ///< empty and `retain`: the retained message of the topic goes
  mqtt::Qos qos = mqtt::Qos::at_least_once;
  bool retain = false;
  std::string content_type;  ///< empty: none
  std::optional<std::string> correlation_data;
};

class AdminView : public PresenceView {
 public:
  virtual ~AdminView() = default;

  /// Counters of each core. They change while they are read. Any thread.
  virtual std::vector<const Counters*> counters() const = 0;

  /// Ends every session of `owner` on all cores: DISCONNECT with `reason`, will suppressed, queue
  /// dropped, session removed. `done(closed)` is called once, on an unspecified thread, when every
  /// core has finished. Any thread, never blocks.
  virtual void disconnect_owner(std::string owner, mqtt::Reason reason,
                                std::function<void(std::uint64_t closed)> done) = 0;

  /// Routes a message like any other: to subscribers, to the queues of persistent sessions and,
  /// with `retain`, into the retained messages. Neither the Authorizer nor the MessageTap is asked.
  /// Calls of one thread for one topic keep their order. `done` is called once, on an unspecified
  /// thread, when all that must be kept of it is stored (at once when that is nothing): `full` when
  /// it is over a cap of retained messages or too much waits already, `unsupported` for a topic or
  /// size that cannot be published, `closed` when the server does not run or ends before it is
  /// stored. Any thread, never blocks; before the server runs it waits for the start.
  virtual void publish(BrokerMessage message, std::function<void(storage::Status)> done) = 0;

  /// Asks again, for every session of `owner` (empty: everybody) on all cores, whether its identity
  /// still has the right to be here and to each of its subscriptions, and ends what has not; see
  /// docs/adr/0012. For whoever has changed rights: after the change is in effect. `done(ended)` as
  /// in disconnect_owner(). Any thread, never blocks.
  virtual void reevaluate(std::string owner, std::function<void(std::uint64_t ended)> done) = 0;

  /// Ends every session that was opened with the certificate `serial` (lower-case hex) or the key
  /// `fingerprint`, as disconnect_owner() does for those of an owner; sessions that wait for their
  /// client remember what opened them.
  virtual void disconnect_certificate(std::string serial, mqtt::Reason reason,
                                      std::function<void(std::uint64_t closed)> done) = 0;
  virtual void disconnect_key(std::string fingerprint, mqtt::Reason reason,
                              std::function<void(std::uint64_t closed)> done) = 0;

  /// Ends the connection of one client (DISCONNECT 0x98): it may come back. Any thread.
  enum class ClientOutcome : std::uint8_t { done, not_found, not_connected };
  virtual void disconnect_client(std::string owner, std::string client_id,
                                 std::function<void(ClientOutcome)> done) = 0;
  /// Ends a session with all that waits in it, and its connection if there is one.
  virtual void remove_session(std::string owner, std::string client_id,
                              std::function<void(ClientOutcome)> done) = 0;

  /// Sessions of `owner` (empty: all), sorted by owner and client id, starting behind the pair
  /// (after_owner, after_client_id), at most `limit` (1 … 1000). `done` as above.
  struct ClientQuery {
    std::string owner;
    std::string after_owner;
    std::string after_client_id;
    std::uint32_t limit = 100;
  };
  virtual void list_clients(ClientQuery query,
                            std::function<void(std::vector<ClientInfo>)> done) = 0;

  /// True when every event loop has turned within the last `seconds`. Any thread.
  virtual bool loops_alive(std::uint32_t seconds) const = 0;
};

}  // namespace skerry::plugin
