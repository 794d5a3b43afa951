// Server: all cores and listeners of one MQTT server, and the view that the admin side has of them.
#pragma once

#include <memory>
#include <mutex>
#include <set>
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

  /// New connections are reset from now on (counted as ShedReason::closed); those that are open
  /// stay. Any thread, a few nanoseconds, as often as one likes.
  void close_doors() noexcept;
  void open_doors() noexcept;

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
  void disconnect_client(std::string owner, std::string client_id,
                         std::function<void(ClientOutcome)> done) override;
  void remove_session(std::string owner, std::string client_id,
                      std::function<void(ClientOutcome)> done) override;
  void list_clients(ClientQuery query,
                    std::function<void(std::vector<plugin::ClientInfo>)> done) override;
  bool loops_alive(std::uint32_t seconds) const override;
  std::optional<plugin::Presence> presence_of(std::string_view device) const override;

  /// Has `owner` judged again within a moment, together with others that come meanwhile: for hooks
  /// that are called for every change. Whoever wants to hear how many sessions it was calls
  /// reevaluate(). Any thread.
  void rights_changed(std::string owner);

  /// A device is registered no more: once its connections have ended (see reevaluate()), nothing
  /// is left of its presence. Any thread.
  void forget_device(std::string_view device);

 private:
  void bind_listeners();
  void make_presence();
  void publish_presence();
  void publish_all(std::vector<plugin::BrokerMessage> messages);
  void end_client(const std::string& key, shard::Shard::Ending what,
                  std::function<void(ClientOutcome)> done);

  void judge_changed();

  std::unique_ptr<Common> common_;
  std::mutex changed_mutex_;
  std::set<std::string, std::less<>> changed_owners_;
  std::vector<std::uint16_t> ports_;
  bool running_ = false;
};

}  // namespace skerry::net
