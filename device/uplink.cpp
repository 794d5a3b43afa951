#include "device/uplink.hpp"

#include <mqtt/async_client.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <mutex>

namespace skerry::agent {

namespace {

/// How long the gateway keeps our half of QoS 2 while we are away.
constexpr std::uint32_t session_expiry_seconds = 24 * 3600;
constexpr std::chrono::seconds connect_timeout{30};

std::string server_uri(const UplinkOptions& options) {
  const bool is_ipv6 = options.host.find(':') != std::string::npos;
  const std::string host = is_ipv6 ? "[" + options.host + "]" : options.host;
  return "ssl://" + host + ":" + std::to_string(options.port);
}

mqtt::create_options create_options() {
  mqtt::create_options options{MQTTVERSION_5};
  options.set_send_while_disconnected(false);
  return options;
}

mqtt::ssl_options tls_options(const UplinkOptions& options) {
  mqtt::ssl_options tls;
  tls.set_trust_store(options.roots_path);
  tls.set_key_store(options.credential_path);
  tls.set_private_key(options.credential_path);
  tls.set_enable_server_cert_auth(true);
  tls.set_verify(true);  // that the certificate is for this host
  return tls;
}

mqtt::connect_options connect_options(const UplinkOptions& options, bool clean_start,
                                      mqtt::ssl_options tls) {
  mqtt::connect_options connect;
  connect.set_mqtt_version(MQTTVERSION_5);
  connect.set_clean_start(clean_start);
  mqtt::properties properties;
  properties.add({mqtt::property::SESSION_EXPIRY_INTERVAL, session_expiry_seconds});
  connect.set_properties(std::move(properties));
  connect.set_keep_alive_interval(
      std::chrono::duration_cast<std::chrono::seconds>(options.keep_alive));
  connect.set_connect_timeout(connect_timeout);
  connect.set_automatic_reconnect(false);
  connect.set_ssl(std::move(tls));
  return connect;
}

/// Of a token; what is no refusal by the gateway is 0. Paho tells the reason of CONNACK as a return
/// code, and its own errors as negative ones.
ReasonCode refusal_of(const mqtt::token& token) {
  const int reason = std::max<int>(token.get_reason_code(), token.get_return_code());
  return reason >= 0x80 ? reason : 0;
}

std::uint64_t serial_of(const mqtt::token& token) {
  return reinterpret_cast<std::uintptr_t>(token.get_user_context());
}

}  // namespace

struct Uplink::Shared : std::enable_shared_from_this<Uplink::Shared> {
  /// What Paho calls when an operation has ended.
  struct Listener : mqtt::iaction_listener {
    std::function<void(const mqtt::token&)> success;
    std::function<void(const mqtt::token&)> failure;
    void on_success(const mqtt::token& token) override { success(token); }
    void on_failure(const mqtt::token& token) override { failure(token); }
  };

  Shared(boost::asio::any_io_executor where, UplinkOptions wanted, UplinkEvents handlers)
      : executor(std::move(where)),
        options(std::move(wanted)),
        events(std::move(handlers)),
        client(server_uri(options), options.device, agent::create_options()) {}

  void listen();
  std::string describe_failure(int return_code);
  /// From any thread: `call` runs on the executor unless the uplink has gone.
  template <typename Call>
  void tell(Call call) {
    boost::asio::post(executor, [weak = weak_from_this(), call = std::move(call)] {
      if (const auto self = weak.lock(); self && !self->closed) {
        call(*self);
      }
    });
  }

  boost::asio::any_io_executor executor;
  UplinkOptions options;
  UplinkEvents events;
  bool closed = false;        ///< on the executor
  bool knows_server = false;  ///< it has a session of this process
  std::mutex mutex;
  std::string tls_error;  ///< under the mutex: what OpenSSL said last, on Paho's thread
  Listener connecting;
  Listener sending;
  mqtt::async_client client;
};

std::string Uplink::Shared::describe_failure(int return_code) {
  const std::lock_guard lock{mutex};
  std::string text = mqtt::exception::error_str(return_code);
  if (!tls_error.empty()) {
    text += ": " + tls_error;
    tls_error.clear();
  }
  return text;
}

void Uplink::Shared::listen() {
  connecting.success = [this](const mqtt::token& token) {
    const bool kept = token.get_connect_response().is_session_present();
    tell([kept](Shared& self) {
      self.knows_server = true;
      self.events.connected(kept);
    });
  };
  connecting.failure = [this](const mqtt::token& token) {
    const ReasonCode reason = refusal_of(token);
    const std::string text =
        reason != 0 ? "the gateway has refused" : describe_failure(token.get_return_code());
    tell([reason, text](Shared& self) { self.events.connect_failed(reason, text); });
  };
  sending.success = [this](const mqtt::token& token) {
    const std::uint64_t serial = serial_of(token);
    tell([serial](Shared& self) { self.events.delivered(serial); });
  };
  sending.failure = [this](const mqtt::token& token) {
    const std::uint64_t serial = serial_of(token);
    const ReasonCode reason = refusal_of(token);
    tell([serial, reason](Shared& self) { self.events.undelivered(serial, reason); });
  };
  client.set_connection_lost_handler(
      [this](const std::string&) { tell([](Shared& self) { self.events.lost(0); }); });
  client.set_disconnected_handler([this](const mqtt::properties&, mqtt::ReasonCode code) {
    const int reason = code;
    tell([reason](Shared& self) { self.events.lost(reason); });
  });
}

Uplink::Uplink(boost::asio::any_io_executor executor, UplinkOptions options, UplinkEvents events)
    : shared_(
          std::make_shared<Shared>(std::move(executor), std::move(options), std::move(events))) {
  shared_->listen();
}

Uplink::~Uplink() {
  shared_->closed = true;
  shared_->client.disable_callbacks();
}

void Uplink::connect() {
  mqtt::ssl_options tls = tls_options(shared_->options);
  tls.set_error_handler([shared = shared_.get()](const std::string& said) {
    const std::lock_guard lock{shared->mutex};
    shared->tls_error = said.substr(0, said.find('\n'));
  });
  try {
    shared_->client.connect(
        connect_options(shared_->options, !shared_->knows_server, std::move(tls)), nullptr,
        shared_->connecting);
  } catch (const mqtt::exception& error) {
    const std::string text = error.what();
    shared_->tell([text](Shared& self) { self.events.connect_failed(0, text); });
  }
}

void Uplink::send(std::uint64_t serial, const OutgoingMessage& message, int qos) {
  try {
    shared_->client.publish(mqtt::make_message(message.topic, message.payload, qos, false),
                            reinterpret_cast<void*>(static_cast<std::uintptr_t>(serial)),
                            shared_->sending);
  } catch (const mqtt::exception&) {
    shared_->tell([serial](Shared& self) { self.events.undelivered(serial, 0); });
  }
}

void Uplink::disconnect(Milliseconds patience) noexcept {
  try {
    if (shared_->client.is_connected()) {
      shared_->client.disconnect()->wait_for(patience);
    }
  } catch (const mqtt::exception&) {
    // It is being left anyway.
  }
}

bool Uplink::is_connected() const noexcept {
  return shared_->client.is_connected();
}

}  // namespace skerry::agent
