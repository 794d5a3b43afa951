// Admission: from the CONNECT packet to a session on its home core. It decodes CONNECT, asks the
// listener's authenticator, assigns a client identifier where that is allowed, and opens the
// session here or sends the connection, once, to the core where the session lives.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "net/connection.hpp"
#include "net/options.hpp"
#include "net/traffic.hpp"
#include "net/work_queue.hpp"

namespace skerry::net {

/// A CONNECT that is being judged. Shared with the authenticator's answer, which may come late.
struct Attempt {
  plugin::Credentials credentials;
  std::string connect_frame;
  std::string unparsed;  ///< what the client sent behind CONNECT already
  mqtt::Version version = mqtt::Version::v5;
  bool clean_start = true;
  bool reason_string_allowed = true;
  std::uint32_t maximum_packet_size = 0;
  bool client_id_assigned = false;
  plugin::Identity identity;
  std::optional<Result<plugin::Identity, mqtt::Violation>> answer;
  bool asking = false;  ///< authenticate() has not returned yet; own core only
};

/// A connection on its way to another core.
struct Arrival {
  const Listener* listener = nullptr;
  std::unique_ptr<transport::Stream> stream;
  Place place;
  std::shared_ptr<Attempt> attempt;
};

/// What Admission needs of its core.
struct AdmissionOptions {
  CoreIndex index;
  const ServerOptions* server = nullptr;
  Doors* doors = nullptr;
  std::weak_ptr<WorkQueue> work;  ///< late answers of authenticators are posted there
  std::function<void(CoreIndex, Arrival)> move;
  /// Runs a function as a turn of this core; used by posted answers.
  std::function<void(std::function<void(Now)>)> turn;
};

class Admission {
 public:
  Admission(AdmissionOptions options, Traffic& traffic, shard::Shard& shard, Counters& counters);

  /// The first frame of a connection. Afterwards the connection may have been moved away.
  void on_first_frame(Connection& connection, const mqtt::Frame& frame, Now now);

  /// A connection that another core has authenticated and whose session lives here.
  void arrive(Arrival arrival, Now now);

  /// The byte stream before CONNECT was not MQTT.
  void on_violation(Connection& connection, const mqtt::Violation& violation);

  /// For the log: a TLS handshake that failed, a client that did not send CONNECT in time.
  void on_handshake_failed(const Connection& connection);
  void on_slow_connect(const Connection& connection);

  /// The authenticator did not answer before the deadline.
  void on_timeout(Connection& connection);

 private:
  void ask(Connection& connection, const std::shared_ptr<Attempt>& attempt, Now now);
  void answered(Connection& connection, Now now);
  void open(Connection& connection, Now now);
  void deny(Connection& connection, const Attempt& attempt, const mqtt::Violation& violation);
  void refuse_malformed(Connection& connection, const mqtt::Frame& frame,
                        const mqtt::Violation& violation);
  bool comes_too_often(const Attempt& attempt, Now now);
  std::string assign_client_id(std::string_view owner) const;
  void log_peer(int level, std::string_view event, std::string_view client,
                std::string_view detail);

  AdmissionOptions options_;
  Traffic& traffic_;
  shard::Shard& shard_;
  Counters& counters_;
  TokenBucket log_budget_;
  std::uint64_t lines_left_out_ = 0;
};

}  // namespace skerry::net
