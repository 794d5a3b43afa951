// A real server on 127.0.0.1 with two cores, an in-memory store and an open policy, and a client
// that is a plain socket with or without TLS.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "crypto/certificate.hpp"
#include "mqtt/codec.hpp"
#include "net/server.hpp"
#include "storage/committer.hpp"
#include "storage/kv_store.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace skerry::net::test {

/// A certificate with its key, for servers and clients of tests.
struct KeyPair {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};
/// Issued by `issuer`, or an authority of its own without one.
KeyPair make_pair(const std::string& name, const KeyPair* issuer = nullptr);

/// Anybody may do anything.
class OpenAuthorizer final : public plugin::Authorizer {
 public:
  plugin::Decision decide(const plugin::Identity&, plugin::Action,
                          std::string_view) const override {
    return {plugin::Verdict::allow_and_covers, "open"};
  }
  std::uint64_t epoch() const noexcept override { return 1; }
};

using Answer = Result<plugin::Identity, mqtt::Violation>;

/// Answers by `judge`, at once or from a thread of its own.
class TestAuthenticator final : public plugin::Authenticator {
 public:
  ~TestAuthenticator() override;
  void authenticate(const plugin::Credentials& credentials, SteadyTime, Done done) override;

  std::function<Answer(const plugin::Credentials&)> judge;  ///< unset: anonymous
  bool on_own_thread = false;
  bool silent = false;  ///< never answers

 private:
  std::vector<std::thread> threads_;
  std::vector<Done> unanswered_;
};

struct Options {
  std::uint16_t cores = 2;
  Limits limits;
  const MemoryBudget* memory = nullptr;
  transport::TlsContextSource tls;
  std::shared_ptr<OutputBudget> output = nullptr;
};

class TestServer {
 public:
  explicit TestServer(Options options = {});
  ~TestServer();

  std::uint16_t port() const { return server_->port(0); }
  Server& server() { return *server_; }
  /// Stops in the order that Server asks for.
  void stop();
  /// Waits until the sum over all cores of what `pick` shows is `wanted`; false after ten seconds.
  bool wait_for(Counter Counters::*pick, std::uint64_t wanted) const;

  TestAuthenticator authenticator;

 private:
  OpenAuthorizer authorizer_;
  std::unique_ptr<storage::MemoryStore> store_ = storage::MemoryStore::create();
  std::unique_ptr<storage::Committer> committer_;
  std::unique_ptr<storage::ReaderPool> readers_ = std::make_unique<storage::ReaderPool>(1);
  std::unique_ptr<Server> server_;
};

class Client {
 public:
  /// Connects; with `client` or `tls` over TLS.
  explicit Client(std::uint16_t port, bool tls = false, const KeyPair* certificate = nullptr);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// TLS handshake succeeded (TLS 1.3 may still be refused afterwards).
  bool connected() const { return connected_; }
  bool send(std::string_view bytes);
  /// Sends a packet in the version of the last CONNECT.
  bool send(const mqtt::Packet& packet);
  /// One whole packet; nullopt at the end of the stream. Its views live until the next call.
  std::optional<mqtt::Packet> receive();
  /// The bytes of the next packet; empty at the end of the stream or after ten seconds.
  std::string receive_frame();
  bool at_end() { return receive_frame().empty(); }
  /// Sends CONNECT and gives the CONNACK; nullopt when the stream ended instead.
  std::optional<mqtt::Connack> connect(const mqtt::Connect& connect);
  std::optional<mqtt::Connack> connect(std::string_view client_id);

  mqtt::Version version = mqtt::Version::v5;

 private:
  std::size_t read_some(char* buffer, std::size_t size);

  int socket_ = -1;
  bool connected_ = true;
  ssl_ctx_st* context_ = nullptr;
  ssl_st* ssl_ = nullptr;
  std::string received_;
  std::string frame_;
};

/// Receives a SUBACK and a PUBLISH with `payload`; the server may send them in either order.
bool hears_suback_and(Client& client, std::string_view payload);

/// Wire form of a packet.
std::string wire(const mqtt::Packet& packet, mqtt::Version version = mqtt::Version::v5);
mqtt::Connect make_connect(std::string_view client_id, mqtt::Version version = mqtt::Version::v5);
mqtt::Subscribe make_subscribe(std::string_view filter, mqtt::Qos qos = mqtt::Qos::at_most_once);
mqtt::Publish make_publish(std::string_view topic, std::string_view payload);

}  // namespace skerry::net::test
