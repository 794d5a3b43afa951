// AdminView: what the admin side may see of the cores and the few things it may ask of them. Every
// call is carried to each core as a message and answered there in slices; nothing is shared.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/counters.hpp"
#include "mqtt/reason.hpp"

namespace skerry::plugin {

/// One client as the admin side sees it.
struct ClientInfo {
  std::string owner;  ///< `device:<id>`, …
  std::string client_id;
  bool connected = false;
  std::string peer_address;
  std::uint8_t protocol_version = 5;
  std::uint32_t subscription_count = 0;
  std::uint32_t queued_messages = 0;
};

class AdminView {
 public:
  virtual ~AdminView() = default;

  /// Counters of each core. They change while they are read. Any thread.
  virtual std::vector<const Counters*> counters() const = 0;

  /// Ends every session of `owner` on all cores: DISCONNECT with `reason`, will suppressed, queue
  /// dropped, session removed. `done(closed)` is called once, on an unspecified thread, when every
  /// core has finished. Any thread, never blocks.
  virtual void disconnect_owner(std::string owner, mqtt::Reason reason,
                                std::function<void(std::uint64_t closed)> done) = 0;

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
