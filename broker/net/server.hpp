// Server: all cores and listeners of one MQTT server, and the view that the admin side has of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/options.hpp"
#include "plugin/admin_view.hpp"
#include "storage/batch.hpp"

namespace skerry::net {

struct Common;

class Server final : public plugin::AdminView {
 public:
  /// Makes the cores and binds the ports without listening yet. Throws std::runtime_error with one
  /// clear sentence (address in use, bad address). Ignores SIGPIPE for the whole process, because
  /// TLS writes to sockets by write(2).
  explicit Server(ServerOptions options);
  /// Stops when it is running.
  ~Server() override;

  /// Shows a stored record to every core. Before start(). False: the record is damaged. Blocks.
  bool load(storage::Family family, std::string_view key, std::string_view value, Now now);

  /// Starts the cores, each of which starts its shard, and opens the ports when all have. Blocks
  /// until then.
  void start();

  /// Stops accepting, ends the sessions, writes what is left and joins the cores; about three
  /// seconds at most. The committer must live until stop() has returned and must end before the
  /// server does.
  void stop();

  /// The port of the n-th listener, of use when it asked for port 0.
  std::uint16_t port(std::size_t listener_index) const noexcept;

  // plugin::AdminView
  std::vector<const Counters*> counters() const override;
  void disconnect_owner(std::string owner, mqtt::Reason reason,
                        std::function<void(std::uint64_t closed)> done) override;
  void publish(plugin::BrokerMessage message, std::function<void(storage::Status)> done) override;
  void reevaluate(std::string owner, std::function<void(std::uint64_t ended)> done) override;
  void disconnect_certificate(std::string serial, mqtt::Reason reason,
                              std::function<void(std::uint64_t closed)> done) override;
  void disconnect_key(std::string fingerprint, mqtt::Reason reason,
                      std::function<void(std::uint64_t closed)> done) override;
  void list_clients(ClientQuery query,
                    std::function<void(std::vector<plugin::ClientInfo>)> done) override;
  bool loops_alive(std::uint32_t seconds) const override;

 private:
  void bind_listeners();

  std::unique_ptr<Common> common_;
  std::vector<std::uint16_t> ports_;
  bool running_ = false;
};

}  // namespace skerry::net
