#include <doctest/doctest.h>

#include <utility>

#include "unit/shard/world.hpp"

namespace skerry::shard::test {
namespace {

std::string hexadecimal(mqtt::Reason reason) {
  static constexpr char digits[] = "0123456789abcdef";
  const auto code = static_cast<unsigned>(reason);
  return std::string(" 0x") + digits[code >> 4] + digits[code & 15];
}

std::string acknowledgement(const char* name, mqtt::PacketId id, mqtt::Reason reason) {
  return std::string(name) + " #" + std::to_string(id.value) +
         (reason == mqtt::Reason::success ? "" : hexadecimal(reason));
}

std::string describe_publish(const mqtt::Publish& publish) {
  std::string text = "PUBLISH " + std::string(publish.topic) + "=" +
                     std::string(as_text(publish.payload)) + " q" +
                     std::to_string(static_cast<int>(publish.qos));
  if (publish.packet_id.value != 0) {
    text += " #" + std::to_string(publish.packet_id.value);
  }
  text += publish.dup ? " dup" : "";
  text += publish.retain ? " retain" : "";
  for (const std::uint32_t id : publish.subscription_identifiers) {
    text += " id=" + std::to_string(id);
  }
  if (publish.topic_alias) {
    text += " alias=" + std::to_string(*publish.topic_alias);
  }
  if (publish.properties.message_expiry_interval) {
    text += " expiry=" + std::to_string(*publish.properties.message_expiry_interval);
  }
  return text;
}

struct Describe {
  std::string operator()(const mqtt::Connack& p) const {
    return "CONNACK" + hexadecimal(p.reason) + (p.session_present ? " present" : "");
  }
  std::string operator()(const mqtt::Publish& p) const { return describe_publish(p); }
  std::string operator()(const mqtt::Puback& p) const {
    return acknowledgement("PUBACK", p.packet_id, p.reason);
  }
  std::string operator()(const mqtt::Pubrec& p) const {
    return acknowledgement("PUBREC", p.packet_id, p.reason);
  }
  std::string operator()(const mqtt::Pubrel& p) const {
    return acknowledgement("PUBREL", p.packet_id, p.reason);
  }
  std::string operator()(const mqtt::Pubcomp& p) const {
    return acknowledgement("PUBCOMP", p.packet_id, p.reason);
  }
  std::string operator()(const mqtt::Suback& p) const { return list("SUBACK", p); }
  std::string operator()(const mqtt::Unsuback& p) const { return list("UNSUBACK", p); }
  std::string operator()(const mqtt::Pingresp&) const { return "PINGRESP"; }
  std::string operator()(const mqtt::Disconnect& p) const {
    return "DISCONNECT" + hexadecimal(p.reason);
  }
  template <typename Other>
  std::string operator()(const Other&) const {
    return "?";
  }
  template <typename Packet>
  static std::string list(const char* name, const Packet& packet) {
    std::string text = std::string(name) + " #" + std::to_string(packet.packet_id.value);
    for (const mqtt::Reason reason : packet.reasons) {
      text += hexadecimal(reason);
    }
    return text;
  }
};

}  // namespace

std::string describe(const mqtt::Packet& packet) {
  return std::visit(Describe{}, packet);
}

Client::Client(World& in, std::string owner_name, std::string id, mqtt::Version spoken)
    : world(in),
      owner(std::move(owner_name)),
      client_id(std::move(id)),
      version(spoken),
      core(home_core(in.hash_key_, session_key(owner, client_id), in.core_count())) {}

bool Client::connect(const ConnectOptions& options) {
  world.count_step();
  if (link_ != nullptr) {
    collect();
    old_links_.push_back(std::move(link_));
  }
  link_ = std::make_unique<TestLink>();
  aliases_.clear();
  to_answer_.clear();
  mqtt::Connect connect{.version = version,
                        .clean_start = options.clean,
                        .keep_alive = options.keep_alive,
                        .client_id = client_id,
                        .will = options.will,
                        .session_expiry_interval = options.expiry,
                        .receive_maximum = options.receive_maximum,
                        .maximum_packet_size = options.maximum_packet_size,
                        .topic_alias_maximum = options.topic_alias_maximum,
                        .request_problem_information = options.problem_information};
  ConnectRequest request;
  const bool device = owner.starts_with("device:");
  request.identity.kind = device ? plugin::IdentityKind::device : plugin::IdentityKind::user;
  request.identity.policy = options.policy;
  if (!options.serial.empty()) {
    request.identity.certificate_serial = options.serial;
    request.identity.key_fingerprint = "key-" + options.serial;
  }
  request.identity.name = owner.substr(owner.find(':') + 1);
  request.client_id = client_id;
  request.peer_address = "192.0.2.1:1";
  request.rates = options.rates;
  mqtt::encode(connect, version, request.connect_frame);
  world.turn(core,
             [&](Shard& shard) { session_ = shard.open(std::move(request), *link_, world.now()); });
  return session_ != 0;
}

void Client::send_bytes(std::string_view bytes) {
  world.count_step();
  REQUIRE(attached());
  mqtt::FrameDecoder decoder(1 << 28);
  world.turn(core, [&](Shard& shard) {
    decoder.feed(as_bytes(bytes));
    for (;;) {
      const auto next = decoder.next();
      if (next.has_error()) {
        return shard.on_violation(session_, next.error(), world.now());
      }
      if (!next->has_value() || !shard.on_frame(session_, **next, world.now())) {
        return;
      }
    }
  });
}

void Client::send(const mqtt::Packet& packet) {
  std::string bytes;
  mqtt::encode(packet, version, bytes);
  send_bytes(bytes);
}

std::uint16_t Client::publish(std::string_view topic, std::string_view payload,
                              const PublishOptions& options) {
  mqtt::Publish publish;
  publish.topic = topic;
  publish.payload = as_bytes(payload);
  publish.qos = options.qos;
  publish.retain = options.retain;
  publish.dup = options.dup;
  publish.topic_alias = options.alias;
  publish.properties.message_expiry_interval = options.expiry;
  if (options.qos != mqtt::Qos::at_most_once) {
    publish.packet_id.value = options.packet_id != 0 ? options.packet_id : ++last_packet_id_;
  }
  const mqtt::PublishHeader header{.packet_id = publish.packet_id,
                                   .qos = publish.qos,
                                   .retain = publish.retain,
                                   .dup = publish.dup,
                                   .topic_alias = options.alias.value_or(0),
                                   .topic_empty = topic.empty(),
                                   .message_expiry_interval = options.expiry,
                                   .subscription_identifiers = {}};
  std::string bytes;
  mqtt::encode_publish(publish, header, version, bytes);
  send_bytes(bytes);
  return publish.packet_id.value;
}

void Client::subscribe(std::string_view filter, mqtt::Qos qos,
                       const mqtt::SubscriptionOptions& options, std::uint32_t identifier) {
  mqtt::Subscribe packet;
  packet.packet_id.value = ++last_packet_id_;
  packet.subscription_identifier = identifier;
  packet.filters.push_back({filter, options});
  packet.filters[0].options.maximum_qos = qos;
  send(packet);
}

void Client::unsubscribe(std::string_view filter) {
  mqtt::Unsubscribe packet;
  packet.packet_id.value = ++last_packet_id_;
  packet.filters.push_back(filter);
  send(packet);
}

void Client::disconnect(mqtt::Reason reason, std::optional<std::uint32_t> expiry) {
  mqtt::Disconnect packet;
  packet.reason = reason;
  packet.session_expiry_interval = expiry;
  send(packet);
}

void Client::drop() {
  world.count_step();
  REQUIRE(attached());
  world.turn(core, [&](Shard& shard) {
    shard.on_closed(session_, session::CloseCause::connection_lost, world.now());
  });
  link_->closed = true;
  session_ = 0;
  to_answer_.clear();
}

void Client::server_gone() {
  if (link_ != nullptr) {
    CHECK_FALSE(link_->output_after_close);
    link_->closed = true;
  }
  for (const auto& old : old_links_) {
    CHECK_FALSE(old->output_after_close);
  }
  session_ = 0;
  to_answer_.clear();
}

void Client::show(mqtt::Packet packet) {
  if (auto* publish = std::get_if<mqtt::Publish>(&packet); publish && publish->topic_alias) {
    std::string& name = aliases_[*publish->topic_alias];
    if (!publish->topic.empty()) {
      name = publish->topic;
    }
    REQUIRE_FALSE(name.empty());
    publish->topic = name;
  }
  if (on_packet) {
    on_packet(packet);
  }
}

void Client::collect() {
  if (link_ == nullptr || stuck || link_->bytes.empty()) {
    return;
  }
  const auto bytes = std::make_shared<std::string>(link_->bytes);
  link_->bytes.clear();  // it has been sent
  mqtt::FrameDecoder decoder(1 << 28);
  decoder.feed(as_bytes(*bytes));
  for (;;) {
    const auto next = decoder.next();
    REQUIRE(next.has_value());
    if (!next->has_value()) {
      break;
    }
    auto packet = mqtt::decode(**next, version, mqtt::Sender::server);
    REQUIRE(packet.has_value());
    show(*packet);
    answer(*packet);
    inbox.push_back({bytes, *packet});
  }
  REQUIRE(decoder.buffered_bytes() == 0);
}

void Client::answer(const mqtt::Packet& packet) {
  if (!answers || link_->closed) {
    return;
  }
  if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
    if (publish->qos == mqtt::Qos::at_least_once) {
      to_answer_.push_back(mqtt::Puback{publish->packet_id, {}, {}, {}});
    } else if (publish->qos == mqtt::Qos::exactly_once) {
      to_answer_.push_back(mqtt::Pubrec{publish->packet_id, {}, {}, {}});
    }
  } else if (const auto* pubrel = std::get_if<mqtt::Pubrel>(&packet)) {
    to_answer_.push_back(mqtt::Pubcomp{pubrel->packet_id, {}, {}, {}});
  } else if (const auto* pubrec = std::get_if<mqtt::Pubrec>(&packet)) {
    if (!mqtt::is_error(pubrec->reason)) {
      to_answer_.push_back(mqtt::Pubrel{pubrec->packet_id, {}, {}, {}});
    }
  }
}

bool Client::answer_one() {
  if (to_answer_.empty() || !attached()) {
    return false;
  }
  const mqtt::Packet packet = std::move(to_answer_.front());
  to_answer_.pop_front();
  std::string bytes;
  mqtt::encode(packet, version, bytes);
  send_bytes(bytes);
  return true;
}

std::string Client::heard() {
  std::string text;
  for (const Received& each : std::exchange(inbox, {})) {
    text += (text.empty() ? "" : "; ") + describe(each.packet);
  }
  return text;
}

}  // namespace skerry::shard::test
