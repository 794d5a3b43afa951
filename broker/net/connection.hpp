// Connection: one client's byte stream on its core, from accept to close, in about a quarter of a
// kilobyte. What is needed only until CONNECT has been judged hangs on one pointer and goes away.
//
//   handshake → connect → authenticate → attached → closing → draining
// Any state may end at once when the socket does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/now.hpp"
#include "mqtt/frame.hpp"
#include "net/doors.hpp"
#include "net/options.hpp"
#include "net/output.hpp"
#include "net/read_quantum.hpp"
#include "session/link.hpp"
#include "shard/shard.hpp"
#include "transport/stream.hpp"

namespace skerry::net {

class Traffic;
struct Attempt;

/// Names a connection of one core; a slot that is used again gets another generation.
struct ConnectionId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  bool operator==(const ConnectionId&) const = default;
};

enum class Phase : std::uint8_t {
  handshake,     ///< TLS under way, or in line for it
  connect,       ///< waiting for the CONNECT packet
  authenticate,  ///< the authenticator has been asked
  attached,      ///< a session of the shard
  closing,       ///< what is in the output is still to be sent
  draining,      ///< our side is shut; waiting for the peer's end, so that no reset eats our words
};

/// State of one connection; Traffic and Admission work on it. Belongs to one core.
class Connection final : public session::Link {
 public:
  Connection(Traffic& traffic, const Listener& listener, std::unique_ptr<transport::Stream> stream,
             Place place);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::string& output() override { return output_.tail(); }
  void output_changed() override;
  void close(session::CloseCause cause) override;
  void pause_reading(bool paused) override;
  void expires_at(WallTime when) override;

  std::size_t unsent_bytes() const noexcept { return output_.size(); }
  std::size_t output_share(std::size_t cap) const noexcept override;

 private:
  friend class Traffic;
  friend class Admission;

  Traffic& traffic_;
  const Listener* listener_;
  std::unique_ptr<transport::Stream> stream_;
  std::shared_ptr<Attempt> attempt_;  // only in Phase::authenticate
  Output output_;
  std::size_t output_counted_ = 0;   // memory of output_ as it stands in Counters
  std::uint32_t input_counted_ = 0;  // and of what decoder_ keeps
  SteadyTime taken_at_{};            // when the socket took something last
  mqtt::FrameDecoder decoder_;
  shard::Shard::SessionId session_ = 0;
  WallTime not_after_ = WallTime::max();
  SteadyTime connect_until_{};  // not counting the time in line
  SteadyTime lined_up_at_{};
  Place place_;
  ConnectionId id_;
  ReadQuantum quantum_;
  Phase phase_ = Phase::handshake;
  std::uint8_t interest_ = 0;      // what the epoll set watches: bits of Traffic
  bool dirty_ = false;             // is in the list of those to be written
  bool paused_ = false;            // the session asked not to read
  bool write_blocked_ = false;     // the socket takes no more for now
  bool read_wants_write_ = false;  // TLS must write before it can read
  bool output_high_ = false;       // held so much that its session may have found it full
  bool pending_ = false;           // is in the list of those to be read without readiness
  bool spoke_ = false;             // something was in the output when it was closed
};

}  // namespace skerry::net
