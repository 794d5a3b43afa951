// One core of a server without its thread: Traffic, Admission and a Shard with the real policies,
// the twin's tap and a memory budget, moved turn by turn by whoever holds it. Time is an argument
// and commits are done when they are asked for, so that the same script always costs the same
// instructions.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "auth/authenticator_chain.hpp"
#include "auth/named_policies.hpp"
#include "net/admission.hpp"
#include "net/traffic.hpp"
#include "plugin/tap_chain.hpp"
#include "shard/outside.hpp"
#include "storage/kv_store.hpp"
#include "twin/series/chunk_series_store.hpp"
#include "twin/telemetry_tap.hpp"

namespace skerry::guard {

/// A fault that the guard must find.
enum class Plant {
  none,
  copy,  ///< each PUBLISH is copied once more on its way
};

class Server final : public shard::Outside {
 public:
  explicit Server(Plant plant);

  /// Takes one end of a pair of sockets as a new connection.
  void add(int descriptor);

  /// Turns until nothing is left to do. What it costs is what the guard counts.
  void work();

  std::uint64_t sent() const noexcept;

  // shard::Outside
  void send(CoreIndex, shard::MailBatch) override {}
  void commit(storage::Batch batch, std::uint64_t ticket) override;
  void read(shard::ReadRequest) override {}
  bool congested() const noexcept override { return false; }
  void log(int level, std::string_view event, std::string_view client,
           std::string_view detail) override;

 private:
  class Copier;

  bool turn();

  net::ServerOptions options_;
  Counters counters_;
  MemoryBudget memory_{1024 * 1024 * 1024};
  std::atomic<std::uint64_t> next_id_{1};
  auth::NamedPolicies policies_;
  auth::AnonymousAuthenticator authenticator_;
  net::Listener listener_;
  std::unique_ptr<storage::MemoryStore> store_;
  std::unique_ptr<twin::series::ChunkSeriesStore> series_;
  std::unique_ptr<twin::TelemetryTap> telemetry_;
  std::unique_ptr<plugin::MessageTap> copier_;
  std::unique_ptr<plugin::TapChain> taps_;
  std::unique_ptr<net::Doors> doors_;
  std::unique_ptr<shard::Shard> shard_;
  std::unique_ptr<net::Traffic> traffic_;
  std::unique_ptr<net::Admission> admission_;
  net::Traffic::Round round_;
  Now now_;
  std::uint64_t committed_ = 0;  ///< the last ticket that was asked for
  std::uint64_t completed_ = 0;  ///< the last one that the shard has heard of
};

}  // namespace skerry::guard
