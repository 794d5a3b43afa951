// Judging a CONNECT: decode, authenticate, name the session, find its core.
#include "net/admission.hpp"

#include <algorithm>
#include <exception>

#include "mqtt/codec.hpp"
#include "net/address.hpp"

namespace skerry::net {

namespace {

constexpr int log_debug = 0;
constexpr int log_information = 1;
constexpr int log_warning = 2;

// Draws for a client identifier that lives on this core; the expected number is that of cores.
constexpr int assign_draws_max = 4'096;

// Lines of the log that peers can cause as often as they like.
constexpr Rate peer_lines{5, 50};

/// The protocol level that a CONNECT claims, whatever else is wrong with it; 0 when it has none.
std::uint8_t claimed_level(const mqtt::Frame& frame) noexcept {
  if (frame.body.size() < 2) {
    return 0;
  }
  const std::size_t name_size = (std::size_t{frame.body[0]} << 8) | frame.body[1];
  return frame.body.size() > 2 + name_size ? frame.body[2 + name_size] : std::uint8_t{0};
}

std::string base64_url(std::string_view bytes) {
  static constexpr char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char byte : bytes) {
    bits = (bits << 8) | static_cast<std::uint8_t>(byte);
    for (count += 8; count >= 6; count -= 6) {
      text.push_back(alphabet[(bits >> (count - 6)) & 63]);
    }
  }
  if (count > 0) {
    text.push_back(alphabet[(bits << (6 - count)) & 63]);
  }
  return text;
}

void append_connack(std::string& out, mqtt::Version version, const mqtt::Violation& violation,
                    bool with_reason_string) {
  mqtt::Connack connack;
  connack.reason = violation.reason;
  if (with_reason_string && violation.what[0] != '\0') {
    connack.reason_string = violation.what;
  }
  mqtt::encode(connack, version, out);
}

/// For a right that has ended between the authenticator's answer and the opening of the session.
mqtt::Violation refusal_of(plugin::Standing::State state) {
  return plugin::reason_of(state) == mqtt::Reason::administrative_action
             ? mqtt::Violation{mqtt::Reason::banned, "the right to connect was taken back"}
             : mqtt::Violation{mqtt::Reason::not_authorized, "the right to connect has ended"};
}

}  // namespace

Admission::Admission(AdmissionOptions options, Traffic& traffic, shard::Shard& shard,
                     Counters& counters)
    : options_(std::move(options)), traffic_(traffic), shard_(shard), counters_(counters) {}

void Admission::on_first_frame(Connection& connection, const mqtt::Frame& frame, Now now) {
  auto packet = mqtt::decode(frame, mqtt::Version::v5, mqtt::Sender::client);
  if (packet.has_error()) {
    refuse_malformed(connection, frame, packet.error());
    return;
  }
  const mqtt::Connect& connect = std::get<mqtt::Connect>(*packet);
  auto attempt = std::make_shared<Attempt>();
  attempt->version = connect.version;
  attempt->clean_start = connect.clean_start;
  attempt->reason_string_allowed = connect.request_problem_information;
  attempt->maximum_packet_size = connect.maximum_packet_size;
  attempt->connect_frame = std::string(as_text(frame.whole));
  plugin::Credentials& credentials = attempt->credentials;
  credentials.client_id = std::string(connect.client_id);
  credentials.peer_address = peer_address_of(connection.stream_->descriptor());
  if (connect.authentication_method) {
    // [MQTT-4.12.0-1]: no method of enhanced authentication is supported.
    deny(connection, *attempt,
         {mqtt::Reason::bad_authentication_method, "enhanced authentication is not supported"});
    return;
  }
  const bool may_assign = connect.version == mqtt::Version::v5 ||
                          (connect.version == mqtt::Version::v3_1_1 && connect.clean_start);
  if (connect.client_id.empty() && !may_assign) {  // [MQTT-3.1.3-8]
    deny(connection, *attempt,
         {mqtt::Reason::client_identifier_not_valid,
          "an empty client identifier needs clean session"});
    return;
  }
  if (connect.user_name) {
    credentials.user_name = std::string(*connect.user_name);
  }
  if (connect.password) {
    credentials.password = std::string(as_text(*connect.password));
  }
  credentials.certificate_chain = connection.stream_->peer_certificates();
  connection.stream_->forget_peer();
  credentials.listener = connection.listener_->name;
  credentials.domain = connection.listener_->domain;
  credentials.policy = connection.listener_->policy;
  credentials.policy_name = connection.listener_->policy_name;
  attempt->unparsed = connection.decoder_.take_unparsed();
  ask(connection, attempt, now);
}

void Admission::ask(Connection& connection, const std::shared_ptr<Attempt>& attempt, Now now) {
  connection.attempt_ = attempt;
  attempt->asking = true;
  const auto own_thread = std::this_thread::get_id();
  auto done = [this, attempt, own_thread, id = connection.id_,
               work = options_.work](Result<plugin::Identity, mqtt::Violation> answer) {
    if (std::this_thread::get_id() == own_thread && attempt->asking) {
      attempt->answer = std::move(answer);
      return;
    }
    const auto alive = work.lock();
    if (!alive) {
      return;
    }
    alive->post([this, attempt, id, answer = std::move(answer)]() mutable {
      options_.turn([this, &attempt, id, &answer](Now later) {
        Connection* const found = traffic_.find(id);
        if (found != nullptr && found->attempt_ == attempt && !attempt->answer) {
          attempt->answer = std::move(answer);
          answered(*found, later);
        }
      });
    });
  };
  try {
    connection.listener_->authenticator->authenticate(
        attempt->credentials, now.steady + options_.server->limits.connect_timeout, done);
  } catch (const std::exception& error) {
    counters_.plugin_exceptions.add();
    options_.server->log(3, "authenticator_failed", attempt->credentials.peer_address,
                         error.what());
    attempt->answer = mqtt::Violation{mqtt::Reason::not_authorized, "not authorized"};
  }
  attempt->asking = false;
  if (attempt->answer) {
    answered(connection, now);
  } else {
    traffic_.wait_for_authenticator(connection);
  }
}

void Admission::answered(Connection& connection, Now now) {
  const std::shared_ptr<Attempt> attempt = connection.attempt_;
  if (attempt->answer->has_error()) {
    deny(connection, *attempt, attempt->answer->error());
    return;
  }
  attempt->identity = std::move(**attempt->answer);
  if (comes_too_often(*attempt, now)) {
    counters_.connects_rate_limited.add();
    deny(connection, *attempt,
         {mqtt::Reason::connection_rate_exceeded,
          "this client has connected more often than limits.connects_per_minute"});
    return;
  }
  const std::string owner = attempt->identity.owner();
  std::string& client_id = attempt->credentials.client_id;
  if (client_id.empty()) {
    client_id = assign_client_id(owner);
    attempt->client_id_assigned = true;
  }
  const CoreIndex home = shard::home_core(
      options_.server->hash_key, shard::session_key(owner, client_id), options_.server->core_count);
  if (home == options_.index) {
    open(connection, now);
    return;
  }
  const std::unique_ptr<Connection> leaving = traffic_.release(connection);
  options_.move(
      home, {leaving->listener_, std::move(leaving->stream_), std::move(leaving->place_), attempt});
}

void Admission::arrive(Arrival arrival, Now now) {
  auto connection = std::make_unique<Connection>(
      traffic_, *arrival.listener, std::move(arrival.stream), std::move(arrival.place));
  connection->phase_ = Phase::authenticate;
  connection->attempt_ = std::move(arrival.attempt);
  Connection& added = traffic_.add(std::move(connection), now.steady + Seconds(1));
  open(added, now);
}

void Admission::open(Connection& connection, Now now) {
  const std::shared_ptr<Attempt> attempt = std::move(connection.attempt_);
  connection.attempt_.reset();
  if (const auto& still_valid = options_.server->still_valid) {
    const plugin::Standing standing = still_valid(attempt->identity, now.wall);
    if (!standing.valid()) {
      deny(connection, *attempt, refusal_of(standing.state));
      return;
    }
    attempt->identity.not_after = standing.until;
  }
  connection.phase_ = Phase::attached;
  const WallTime not_after = attempt->identity.not_after;
  shard::ConnectRequest request;
  request.identity = std::move(attempt->identity);
  request.connect_frame = std::move(attempt->connect_frame);
  request.client_id = std::move(attempt->credentials.client_id);
  request.client_id_assigned = attempt->client_id_assigned;
  request.peer_address = std::move(attempt->credentials.peer_address);
  request.rates = connection.listener_->rates.value_or(options_.server->limits.rates);
  const auto session = shard_.open(std::move(request), connection, now);
  if (session == 0) {
    traffic_.refuse(connection);
    return;
  }
  traffic_.attach(connection, session, not_after, now);
  const bool reading = connection.phase_ == Phase::attached &&
                       traffic_.consume(connection, as_bytes(attempt->unparsed), now);
  if (reading && connection.stream_->has_pending()) {
    traffic_.read_soon(connection);
  }
}

void Admission::deny(Connection& connection, const Attempt& attempt,
                     const mqtt::Violation& violation) {
  const auto& credentials = attempt.credentials;
  log_peer(log_warning, "connect_denied", credentials.client_id,
           credentials.peer_address + ": " + violation.what);
  if (options_.server->audit != nullptr) {
    const std::string_view address = credentials.peer_address;
    const std::string actor = "address:" + std::string{address.substr(0, address.rfind(':'))};
    options_.server->audit->refused(
        {actor, "connect", "client:" + credentials.client_id, "denied", violation.what, address});
  }
  std::string& out = connection.output();
  const std::size_t before = out.size();
  append_connack(out, attempt.version, violation, attempt.reason_string_allowed);
  if (attempt.maximum_packet_size != 0 && out.size() - before > attempt.maximum_packet_size) {
    // [MQTT-3.2.2-19]: the Reason String must not make the packet too large for the client.
    out.resize(before);
    append_connack(out, attempt.version, violation, false);
  }
  traffic_.refuse(connection);
}

void Admission::refuse_malformed(Connection& connection, const mqtt::Frame& frame,
                                 const mqtt::Violation& violation) {
  counters_.protocol_errors.add();
  log_peer(log_information, "connect_malformed", peer_address_of(connection.stream_->descriptor()),
           violation.what);
  const std::uint8_t level = claimed_level(frame);
  if (level >= 5) {
    append_connack(connection.output(), mqtt::Version::v5, violation, true);
  } else if (violation.reason == mqtt::Reason::unsupported_protocol_version) {
    // [MQTT-3.1.2-2] of 3.1.1: return code 1, in the form that old clients read.
    append_connack(connection.output(), mqtt::Version::v3_1_1, violation, false);
  }
  // Other errors end a 3.1.1 connection without a CONNACK [MQTT-3.1.4-1].
  traffic_.refuse(connection);
}

void Admission::on_violation(Connection& connection, const mqtt::Violation& violation) {
  counters_.protocol_errors.add();
  log_peer(log_information, "not_mqtt", peer_address_of(connection.stream_->descriptor()),
           violation.what);
  traffic_.refuse(connection);
}

void Admission::on_handshake_failed(const Connection& connection) {
  const std::string why = connection.stream_->error();
  log_peer(log_information, "tls_handshake_failed",
           peer_address_of(connection.stream_->descriptor()),
           why.empty() ? "the peer has hung up" : why);
}

void Admission::on_slow_connect(const Connection& connection) {
  log_peer(log_debug, "connect_timeout", peer_address_of(connection.stream_->descriptor()),
           "no CONNECT within limits.connect_timeout");
}

void Admission::on_timeout(Connection& connection) {
  const std::shared_ptr<Attempt> attempt = connection.attempt_;
  deny(connection, *attempt,
       {mqtt::Reason::server_unavailable, "the authenticator did not answer in time"});
}

// The anonymous have no owner of their own: there it is the client identifier that counts.
bool Admission::comes_too_often(const Attempt& attempt, Now now) {
  const std::string owner = attempt.identity.owner();
  const bool anonymous = attempt.identity.kind == plugin::IdentityKind::anonymous;
  const std::string key =
      anonymous ? shard::session_key(owner, attempt.credentials.client_id) : owner;
  return !options_.doors->may_connect(keyed_hash(options_.server->hash_key, key), now.steady);
}

// A flood of what peers do wrong must neither fill the disk nor hide what else happens.
void Admission::log_peer(int level, std::string_view event, std::string_view client,
                         std::string_view detail) {
  if (!log_budget_.take(peer_lines, 1, traffic_.turn())) {
    ++lines_left_out_;
    return;
  }
  if (lines_left_out_ > 0) {
    options_.server->log(log_information, "lines_left_out", "",
                         std::to_string(std::exchange(lines_left_out_, 0)) +
                             " lines about connections that failed were left out");
  }
  options_.server->log(level, event, client, detail);
}

std::string Admission::assign_client_id(std::string_view owner) const {
  std::string client_id;
  for (int draw = 0; draw < assign_draws_max; ++draw) {
    client_id = base64_url(options_.server->random(16));
    const auto home =
        shard::home_core(options_.server->hash_key, shard::session_key(owner, client_id),
                         options_.server->core_count);
    if (home == options_.index) {
      break;
    }
  }
  return client_id;
}

}  // namespace skerry::net
