// The agent: collects how the device is, takes what other programs say, keeps it, and sees to it
// that the gateway gets it. Wires the parts together on one event loop; each part is told what it
// needs and none knows another.
//
//   collectors ─┐                        ┌─ delivery ─▶ uplink ─▶ gateway :8883
//   local socket┴──▶ spool (on disk) ──▶─┘                ▲
//                                 enrolment ── identity ──┘   ◀─▶ gateway :8444
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "device/collectors.hpp"
#include "device/configuration.hpp"
#include "device/delivery.hpp"
#include "device/enrolment.hpp"
#include "device/file.hpp"
#include "device/identity_store.hpp"
#include "device/local_socket.hpp"
#include "device/log.hpp"
#include "device/spool.hpp"
#include "device/uplink.hpp"

namespace skerry::agent {

/// Of the device's files, for one process at a time. Throws std::runtime_error when another has it.
Descriptor lock_state(const std::string& state_dir);

class Agent {
 public:
  /// `configuration_path` is read again on SIGHUP. Throws when the device's files cannot be used.
  Agent(boost::asio::io_context& loop, Configuration configuration, std::string configuration_path);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// Runs until SIGTERM or SIGINT.
  void run();

 private:
  enum class Link : std::uint8_t { none, waiting, connecting, connected };

  void on_signal(int signal);
  void reload();
  void stop();
  void collect();
  void housekeep();
  void add_own_readings(Readings& out) const;
  bool take(const LocalMessage& message);

  void on_ready();
  void make_uplink();
  void connect();
  void reconnect_later();
  void on_connected(bool session_kept);
  void on_connect_failed(ReasonCode reason, const std::string& text);
  void on_lost(ReasonCode reason);
  void watch_link();
  void pump();

  boost::asio::io_context& loop_;
  Configuration configuration_;
  std::string configuration_path_;
  Log log_;
  Descriptor lock_;
  Spool spool_;
  IdentityStore identity_;
  Collectors collectors_;
  Delivery delivery_;
  Enrolment enrolment_;
  std::unique_ptr<LocalSocket> local_socket_;
  std::unique_ptr<Uplink> uplink_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer collect_timer_;
  boost::asio::steady_timer housekeeping_timer_;
  boost::asio::steady_timer retry_timer_;
  boost::asio::steady_timer hold_timer_;
  Backoff backoff_;
  Link link_ = Link::none;
  SteadyTime connected_at_{};
  std::uint64_t connections_ = 0;
  std::uint64_t progress_ = 0;  ///< messages acknowledged when the link was looked at last
  SteadyTime progress_at_{};
};

}  // namespace skerry::agent
