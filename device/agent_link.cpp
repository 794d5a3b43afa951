// The agent's connection: made when there is a certificate, made again when it is lost, watched.
#include "device/agent.hpp"
#include "base/byte_order.hpp"
#include "crypto/random.hpp"

namespace skerry::agent {

namespace {

/// A connection that has held so long was a good one: the next wait is short again.
constexpr std::chrono::seconds good_connection{30};
/// A message that is on its way so long, with a connection, is stuck.
constexpr std::chrono::seconds patience_with_link{60};
/// For DISCONNECT to leave before the connection is made anew with another certificate.
constexpr Milliseconds patience_with_goodbye{2000};

std::uint64_t random_word() {
  return read_big_endian<std::uint64_t>(crypto::random_bytes(sizeof(std::uint64_t)));
}

/// Codes of CONNACK by which the gateway says that it does not know us by this certificate.
bool doubts_certificate(ReasonCode reason) {
  constexpr ReasonCode bad_user_name_or_password = 0x86;
  constexpr ReasonCode not_authorized = 0x87;
  constexpr ReasonCode banned = 0x8a;
  return reason == bad_user_name_or_password || reason == not_authorized || reason == banned;
}

}  // namespace

void Agent::on_ready() {
  backoff_.reset();
  if (!uplink_) {
    make_uplink();
  } else {
    // The same uplink, so that what is on its way arrives once; its next handshake reads the files.
    uplink_->disconnect(patience_with_goodbye);
    delivery_.link_down();
  }
  connect();
}

void Agent::make_uplink() {
  UplinkOptions options;
  options.device = configuration_.device;
  options.host = configuration_.gateway.host;
  options.port = configuration_.gateway.mqtt_port;
  options.roots_path = enrolment_.roots_path();
  options.credential_path = identity_.credential_path();
  options.keep_alive = configuration_.connection.keep_alive;
  UplinkEvents events;
  events.connected = [this](bool kept) { on_connected(kept); };
  events.connect_failed = [this](ReasonCode reason, const std::string& text) {
    on_connect_failed(reason, text);
  };
  events.lost = [this](ReasonCode reason) { on_lost(reason); };
  events.delivered = [this](std::uint64_t serial) {
    delivery_.delivered(serial);
    pump();
  };
  events.undelivered = [this](std::uint64_t serial, ReasonCode reason) {
    if (reason != 0) {
      log_.warning("message_refused",
                   "the gateway refused a message with reason code " + std::to_string(reason));
    }
    delivery_.undelivered(serial, reason, read_clocks().steady, random_word());
    pump();
  };
  uplink_ = std::make_unique<Uplink>(loop_.get_executor(), std::move(options), std::move(events));
}

void Agent::connect() {
  retry_timer_.cancel();
  link_ = Link::connecting;
  uplink_->connect();
}

void Agent::reconnect_later() {
  link_ = Link::waiting;
  delivery_.link_down();
  retry_timer_.expires_after(backoff_.next(random_word()));
  retry_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && link_ == Link::waiting) {
      connect();
    }
  });
}

void Agent::on_connected(bool session_kept) {
  link_ = Link::connected;
  connected_at_ = read_clocks().steady;
  progress_at_ = connected_at_;
  ++connections_;
  log_.info("connected", session_kept ? "the gateway has kept the session" : "a new session");
  delivery_.link_up(session_kept);
  pump();
}

void Agent::on_connect_failed(ReasonCode reason, const std::string& text) {
  if (link_ != Link::connecting) {
    return;
  }
  log_.write(LogLevel::warning, "connect_failed", text, {{"reason", std::to_string(reason)}});
  if (doubts_certificate(reason)) {
    enrolment_.doubt();
  }
  reconnect_later();
}

void Agent::on_lost(ReasonCode reason) {
  if (link_ != Link::connected) {
    return;
  }
  log_.write(LogLevel::warning, "connection_lost", "the connection to the gateway has ended",
             {{"reason", std::to_string(reason)}});
  if (read_clocks().steady - connected_at_ >= good_connection) {
    backoff_.reset();
  }
  reconnect_later();
}

/// A connection that nobody has told the end of, or that takes a message and never answers, is
/// given up.
void Agent::watch_link() {
  const SteadyTime now = read_clocks().steady;
  if (link_ == Link::connected && !uplink_->is_connected()) {
    on_lost(0);
    return;
  }
  const std::uint64_t messages = delivery_.counters().messages;
  if (link_ != Link::connected || !delivery_.on_its_way() || messages != progress_) {
    progress_ = messages;
    progress_at_ = now;
    return;
  }
  if (now - progress_at_ > patience_with_link) {
    log_.warning("link_stuck", "a message has not been acknowledged for a minute");
    uplink_.reset();
    delivery_.link_replaced();
    make_uplink();
    reconnect_later();
  }
}

}  // namespace skerry::agent
