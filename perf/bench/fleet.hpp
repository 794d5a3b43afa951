// All connections of a run: one thread, one epoll set. A turn writes once per connection that has
// something to say, waits, reads, and hands each packet to the scenario.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connection.hpp"
#include "endpoint.hpp"
#include "wire.hpp"

namespace skerry::bench {

using ClientIndex = std::uint32_t;

/// What a scenario does about what happens. Called from Fleet::turn().
class Listener {
 public:
  virtual ~Listener() = default;
  /// The connection stands, TLS included: the moment to send CONNECT.
  virtual void on_open(ClientIndex client) = 0;
  /// The packet's views live until this returns.
  virtual void on_packet(ClientIndex client, const Packet& packet) = 0;
  /// All packets of one read have been given.
  virtual void on_drained(ClientIndex) {}
  /// It has ended without our doing. By default that ends the run.
  virtual void on_closed(ClientIndex client, const std::string& why);
};

class Fleet {
 public:
  struct Options {
    Endpoint endpoint;
    TlsFiles tls;
    int version = 5;
    bool resumes = false;  ///< keeps the TLS session of each client for its next connection
  };
  Fleet(Options options, Listener& listener);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  /// Begins a connection in place `client`, which must hold none. `client_id` chooses a
  /// certificate.
  void open(ClientIndex client, const std::string& client_id);
  /// Ends one without telling the listener; see Connection::close.
  void close(ClientIndex client, bool reset);
  bool is_open(ClientIndex client) const noexcept;
  /// Whether its TLS session was resumed.
  bool was_resumed(ClientIndex client) const noexcept;

  /// Bytes to be sent at the end of this turn; the connection must be open.
  std::string& output(ClientIndex client);

  /// Flushes, waits at most `wait_nanoseconds` (0: not at all) for an event, works all of them.
  void turn(std::int64_t wait_nanoseconds);

  const Options& options() const noexcept { return options_; }

 private:
  static constexpr std::size_t scratch_bytes = 256 * 1024;

  struct Place {
    std::unique_ptr<Connection> connection;
    SSL_SESSION* session = nullptr;
    std::uint32_t generation = 0;
  };

  void watch(ClientIndex client, std::uint32_t events);
  void flush_dirty();
  void work(std::uint64_t key, std::uint32_t events);
  void go_on(ClientIndex client);
  void read(ClientIndex client);
  void hand_out(ClientIndex client, std::string_view bytes, std::uint32_t generation);
  void lose(ClientIndex client);

  Options options_;
  Listener& listener_;
  TlsContext tls_;
  int epoll_;
  std::vector<Place> places_;
  std::vector<ClientIndex> dirty_;
  std::vector<ClientIndex> flushing_;
  std::vector<char> scratch_;
};

}  // namespace skerry::bench
