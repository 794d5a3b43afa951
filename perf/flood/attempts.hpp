// Attempts to connect, by the thousand, from one thread: resets, full mutual TLS handshakes at a
// rate, silent and dripping ones, and a fleet that comes back at once. One line of JSON at the end.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <queue>
#include <random>
#include <vector>

#include "clock.hpp"
#include "latencies.hpp"
#include "options.hpp"

namespace skerry::flood {

class Attempts {
 public:
  explicit Attempts(const Options& options);
  ~Attempts();
  Attempts(const Attempts&) = delete;
  Attempts& operator=(const Attempts&) = delete;

  void run();
  void print();

 private:
  enum class Manner : std::uint8_t {
    reset,   ///< connects and resets
    tls,     ///< handshake, CONNECT, CONNACK, then goes
    stay,    ///< the same and stays: one of a fleet
    silent,  ///< never says a word
    hello,   ///< ClientHello and then nothing
    drip,    ///< handshake, then CONNECT byte by byte
  };
  enum class Phase : std::uint8_t { connecting, handshake, connect, in, dripping, idle };

  struct Attempt {
    Attempt(int socket, SSL* tls, Manner how, std::uint32_t who)
        : descriptor(socket), ssl(tls), manner(how), number(who), began(bench::now()) {}
    ~Attempt();
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    int descriptor;
    SSL* ssl;
    Manner manner;
    std::uint32_t number;
    std::int64_t began;
    Phase phase = Phase::connecting;
    std::size_t dripped = 0;
  };

  struct Retry {
    std::int64_t at;
    std::uint32_t number;
    bool operator<(const Retry& other) const { return at > other.at; }
  };

  Manner manner_of(std::uint32_t number) const;
  void start(std::uint32_t number);
  void start_due(std::int64_t now);
  void turn();
  void on_event(std::size_t slot, std::uint32_t events);
  void on_connected(Attempt& attempt);
  void shake(Attempt& attempt);
  void read(Attempt& attempt);
  void watch(const Attempt& attempt, bool for_write);
  void end(std::size_t slot);
  void lose(std::size_t slot, bool by_reset);
  void drip();
  std::string connect_packet(const Attempt& attempt) const;

  const Options& options_;
  bench::TlsContext tls_;
  int epoll_;
  std::vector<std::unique_ptr<Attempt>> slots_;
  std::vector<std::size_t> free_;
  std::priority_queue<Retry> retries_;
  std::vector<std::int64_t> first_try_;  // of a fleet, by number
  std::mt19937 random_{1};
  std::int64_t begin_ = 0;
  std::int64_t drip_at_ = 0;
  std::uint32_t started_ = 0;
  std::size_t open_ = 0;
  std::size_t turn_slot_ = 0;
  bool turn_lost_ = false;
  bool turn_reset_ = false;
  std::uint64_t accepted_ = 0;
  std::uint64_t handshakes_ = 0;
  std::uint64_t resets_ = 0;
  std::uint64_t closes_ = 0;
  std::uint64_t not_started_ = 0;
  double seconds_ = 0;
  Latencies times_;
};

}  // namespace skerry::flood
