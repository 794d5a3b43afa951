// Connection: the server's end of one client's connection and the link between them. It does what
// net::Traffic and net::Admission do with a socket: cut the stream into frames, look at the first
// one, carry the connection to its home core, write at the end of the turn.
//
//   connect ──CONNECT──▶ carried ──open()──▶ attached ──close(), on_closed()──▶ closed
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mqtt/frame.hpp"
#include "session/link.hpp"
#include "shard/shard.hpp"
#include "sim/random.hpp"

namespace skerry::sim {

class World;

class Connection final : public session::Link {
 public:
  enum class Phase : std::uint8_t { connect, carried, attached, closed };
  /// How its client went away.
  enum class Departure : std::uint8_t { none, end, reset, silent };

  Connection(World& world, std::uint32_t index, std::uint32_t client);

  // session::Link
  std::string& output() override;
  void output_changed() override;
  void close(session::CloseCause cause) override;
  void pause_reading(bool paused) override;
  void expires_at(WallTime) override {}

  // The client's side.
  void send(std::string_view bytes);
  /// The client is gone; it hears nothing more of this connection.
  void leave(Departure how);

  // Events.
  void carry_up();    ///< some bytes of the client reach the server
  void open();        ///< on its home core
  void carry_down();  ///< some bytes of the server reach the client
  /// After a turn of the server: sees to it that what was written gets on its way.
  void flush();
  /// The link moves again.
  void unstall();
  /// The server hears at last that a silent client is gone.
  void notice_silence();
  /// The server is dead: so is this, and the client will notice.
  void server_died();

  std::uint32_t index() const noexcept { return index_; }
  std::uint32_t client() const noexcept { return client_; }
  Phase phase() const noexcept { return phase_; }
  shard::Shard::SessionId session() const noexcept { return session_; }
  CoreIndex core() const noexcept { return core_; }
  Departure departure() const noexcept { return departure_; }
  std::size_t unsent() const noexcept { return down_.size(); }

  bool stalled = false;    ///< nothing moves in either direction
  bool slow = false;       ///< the client takes little and seldom
  Time opened_at = never;  ///< the server has opened the session
  Time closed_at = never;  ///< … and let go of the connection
  // As its CONNECT said.
  std::uint32_t will = 0;  ///< number of the will's message
  std::uint32_t will_delay = 0;
  std::uint32_t expiry = 0;
  bool clean = true;

 private:
  void consume(shard::Shard& shard, std::string_view bytes);
  void first_frame(const mqtt::Frame& frame);
  std::string take_up();
  void ended(session::CloseCause cause);
  void schedule_up(Time delay);
  void schedule_down(Time delay);
  void lost();
  void note_refusals();

  World& world_;
  std::uint32_t index_;
  std::uint32_t client_;
  Phase phase_ = Phase::connect;
  Departure departure_ = Departure::none;
  mqtt::FrameDecoder decoder_;
  shard::Shard::SessionId session_ = 0;
  CoreIndex core_{};
  shard::ConnectRequest request_;
  std::string unparsed_;   ///< read behind CONNECT
  std::string up_;         ///< on its way to the server
  std::string down_;       ///< what the server has not sent
  std::size_t noted_ = 0;  ///< of these bytes note_refusals() has seen
  bool up_scheduled_ = false;
  bool down_scheduled_ = false;
  bool paused_ = false;
  bool wrote_ = false;
  bool high_ = false;
};

}  // namespace skerry::sim
