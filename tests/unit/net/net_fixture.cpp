// Blocking sockets with a receive timeout: a test that waits in vain ends instead of hanging.
#include "net_fixture.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/random.hpp"

namespace skerry::net::test {

namespace {

constexpr auto patience = std::chrono::seconds(10);

plugin::Identity anonymous(const plugin::Credentials& credentials) {
  plugin::Identity identity;
  identity.policy = plugin::PolicyKind::open;
  identity.name = credentials.domain;
  return identity;
}

}  // namespace

KeyPair make_pair(const std::string& name, const KeyPair* issuer) {
  KeyPair pair;
  pair.key = *crypto::PrivateKey::generate();
  crypto::CertificateProfile profile;
  profile.common_name = name;
  profile.spki_der = pair.key.spki_der();
  const WallTime now = read_clocks().wall;
  profile.not_before = now - std::chrono::hours(1);
  profile.not_after = now + std::chrono::hours(24);
  if (issuer == nullptr) {
    profile.is_authority = true;
    pair.certificate = *crypto::issue_certificate(profile, {}, pair.key);
    return pair;
  }
  profile.client_authentication = true;
  profile.server_authentication = true;
  profile.dns_names = {"localhost"};
  pair.certificate = *crypto::issue_certificate(profile, issuer->certificate, issuer->key);
  return pair;
}

TestAuthenticator::~TestAuthenticator() {
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void TestAuthenticator::authenticate(const plugin::Credentials& credentials, SteadyTime,
                                     Done done) {
  if (silent) {
    unanswered_.push_back(std::move(done));
    return;
  }
  auto answer = judge ? judge(credentials) : Answer(anonymous(credentials));
  if (on_own_thread) {
    threads_.emplace_back([answer = std::move(answer), done = std::move(done)] { done(answer); });
  } else {
    done(std::move(answer));
  }
}

TestServer::TestServer(Options options)
    : committer_(std::make_unique<storage::Committer>(*store_, storage::CommitterOptions{})) {
  ServerOptions all;
  all.core_count = options.cores;
  all.limits = options.limits;
  all.memory = options.memory;
  all.hash_key.words = {1, 2};
  all.authorizer = &authorizer_;
  all.committer = committer_.get();
  all.store = store_.get();
  all.readers = readers_.get();
  all.random = crypto::random_bytes;
  Listener listener;
  listener.name = "test";
  listener.bind = "127.0.0.1:0";
  listener.tls = options.tls;
  listener.output = options.output;
  listener.authenticator = &authenticator;
  listener.policy = plugin::PolicyKind::open;
  listener.domain = "test";
  all.listeners.push_back(listener);
  server_ = std::make_unique<Server>(std::move(all));
  server_->start();
}

TestServer::~TestServer() {
  stop();
}

void TestServer::stop() {
  if (server_) {
    server_->stop();
    committer_.reset();
    server_.reset();
  }
}

bool TestServer::wait_for(Counter Counters::*pick, std::uint64_t wanted) const {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    std::uint64_t sum = 0;
    for (const Counters* const core : server_->counters()) {
      sum += (core->*pick).read();
    }
    if (sum == wanted) {
      return true;
    }
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::yield();
  }
}

Client::Client(std::uint16_t port, bool tls, const KeyPair* certificate)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  timeval wait{patience.count(), 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (!tls) {
    return;
  }
  context_ = SSL_CTX_new(TLS_client_method());
  if (certificate != nullptr) {
    SSL_CTX_use_certificate(context_, certificate->certificate.native());
    SSL_CTX_use_PrivateKey(context_, certificate->key.native());
  }
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, socket_);
  connected_ = connected_ && SSL_connect(ssl_) == 1;
}

Client::~Client() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
  ::close(socket_);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count =
        ssl_ != nullptr
            ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
            : static_cast<int>(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    if (count <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool Client::send(const mqtt::Packet& packet) {
  return send(wire(packet, version));
}

std::size_t Client::read_some(char* buffer, std::size_t size) {
  const auto count = ssl_ != nullptr ? SSL_read(ssl_, buffer, static_cast<int>(size))
                                     : static_cast<int>(::recv(socket_, buffer, size, 0));
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

std::string Client::receive_frame() {
  for (;;) {
    std::size_t length = 0;
    std::size_t header = 1;
    bool complete = false;
    for (int shift = 0; header < received_.size() && header < 5 && !complete; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(received_[header++]);
      length |= std::size_t{byte & 127U} << shift;
      complete = (byte & 128) == 0;
    }
    if (complete && received_.size() >= header + length) {
      std::string frame = received_.substr(0, header + length);
      received_.erase(0, header + length);
      return frame;
    }
    char buffer[16 * 1024];
    const std::size_t count = read_some(buffer, sizeof buffer);
    if (count == 0) {
      return {};
    }
    received_.append(buffer, count);
  }
}

std::optional<mqtt::Packet> Client::receive() {
  frame_ = receive_frame();
  if (frame_.empty()) {
    return std::nullopt;
  }
  std::size_t header = 1;
  while ((static_cast<std::uint8_t>(frame_[header]) & 128) != 0) {
    ++header;
  }
  mqtt::Frame frame;
  frame.first_byte = static_cast<std::uint8_t>(frame_[0]);
  frame.whole = as_bytes(frame_);
  frame.body = frame.whole.subspan(header + 1);
  auto packet = mqtt::decode(frame, version, mqtt::Sender::server);
  if (packet.has_error()) {
    return std::nullopt;
  }
  return *std::move(packet);
}

std::optional<mqtt::Connack> Client::connect(const mqtt::Connect& connect) {
  version = connect.version;
  if (!send(mqtt::Packet(connect))) {
    return std::nullopt;
  }
  const auto packet = receive();
  if (!packet || !std::holds_alternative<mqtt::Connack>(*packet)) {
    return std::nullopt;
  }
  return std::get<mqtt::Connack>(*packet);
}

std::optional<mqtt::Connack> Client::connect(std::string_view client_id) {
  return connect(make_connect(client_id));
}

bool hears_suback_and(Client& client, std::string_view payload) {
  bool suback = false;
  bool publish = false;
  for (int i = 0; i < 2; ++i) {
    const auto packet = client.receive();
    if (!packet) {
      return false;
    }
    suback = suback || std::holds_alternative<mqtt::Suback>(*packet);
    if (const auto* const message = std::get_if<mqtt::Publish>(&*packet)) {
      publish = as_text(message->payload) == payload;
    }
  }
  return suback && publish;
}

std::string wire(const mqtt::Packet& packet, mqtt::Version version) {
  std::string out;
  mqtt::encode(packet, version, out);
  return out;
}

mqtt::Connect make_connect(std::string_view client_id, mqtt::Version version) {
  mqtt::Connect connect;
  connect.version = version;
  connect.client_id = client_id;
  connect.keep_alive = 60;
  return connect;
}

mqtt::Subscribe make_subscribe(std::string_view filter, mqtt::Qos qos) {
  mqtt::Subscribe subscribe;
  subscribe.packet_id = {1};
  mqtt::SubscribeFilter entry;
  entry.filter = filter;
  entry.options.maximum_qos = qos;
  subscribe.filters.push_back(entry);
  return subscribe;
}

mqtt::Publish make_publish(std::string_view topic, std::string_view payload) {
  mqtt::Publish publish;
  publish.topic = topic;
  publish.payload = as_bytes(payload);
  return publish;
}

}  // namespace skerry::net::test
