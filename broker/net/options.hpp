// Options of the server's network side: what the configuration says and what the cores share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_hash.hpp"
#include "base/limits.hpp"
#include "base/memory_budget.hpp"
#include "net/output_budget.hpp"
#include "plugin/audit.hpp"
#include "plugin/authenticator.hpp"
#include "plugin/authorizer.hpp"
#include "plugin/event_sink.hpp"
#include "plugin/message_tap.hpp"
#include "shard/shard.hpp"
#include "storage/committer.hpp"
#include "storage/reader_pool.hpp"
#include "transport/tls_context.hpp"

namespace skerry::net {

/// A port for MQTT clients. Read-only once the server runs; all cores look at the same one.
struct Listener {
  std::string name;
  std::string bind;                 ///< "127.0.0.1:1883"
  transport::TlsContextSource tls;  ///< empty: plain TCP
  plugin::Authenticator* authenticator = nullptr;
  plugin::PolicyKind policy = plugin::PolicyKind::device;
  std::string policy_name;            ///< with PolicyKind::named
  std::string domain;                 ///< owner of anonymous sessions
  std::uint32_t connections_max = 0;  ///< open on this port; 0: what the server has
  std::optional<RateLimits> rates;    ///< of each client; none: Limits::rates
  /// What all its connections may hold in their outputs; null: any amount.
  std::shared_ptr<OutputBudget> output;
};

/// One line for the log. `level`: 0 debug, 1 information, 2 warning, 3 error. Any thread.
using LogFunction = std::function<void(int level, std::string_view event, std::string_view client,
                                       std::string_view detail)>;

/// Pointers must outlive the server, but see Server::stop() about the committer.
struct ServerOptions {
  std::uint16_t core_count = 1;  ///< 1 … 256
  bool pin_threads = false;      ///< thread n to the n-th processor of the affinity mask
  Limits limits;
  const MemoryBudget* memory = nullptr;  ///< null: as if there were always enough
  HashKey hash_key;
  const plugin::Authorizer* authorizer = nullptr;
  plugin::MessageTap* tap = nullptr;  ///< may be null
  plugin::AuditLog* audit = nullptr;  ///< hears of what is refused; may be null
  storage::Committer* committer = nullptr;
  /// Disk space has run low (storage::SpaceWatch); may be null.
  const std::atomic<bool>* space_low = nullptr;
  /// Where queued messages are read back from, and on whose threads; both are ended after stop().
  const storage::KvStore* store = nullptr;
  storage::ReaderPool* readers = nullptr;
  std::function<std::string(std::size_t bytes)> random;  ///< any thread
  /// Asked on the core just before a session opens, since rights may have ended while the
  /// connection was carried from core to core, again by AdminView::reevaluate() and at start for
  /// sessions that were kept; null: everything found earlier holds. Any core, never blocks.
  shard::StillValid still_valid;
  bool drop_revoked_queues = true;      ///< see shard::ShardOptions
  bool publishes_presence = true;       ///< retained `devices/{id}/presence`
  plugin::EventSink* events = nullptr;  ///< hears of presence; may be null
  /// Hears of each device that comes or goes; see net::PresenceOptions.
  std::function<void(std::string_view device, bool online, WallTime when)> presence_changed;
  shard::TestFaults faults;  ///< all off but in a test
  LogFunction log = [](int, std::string_view, std::string_view, std::string_view) {};
  std::vector<Listener> listeners;
};

}  // namespace skerry::net
