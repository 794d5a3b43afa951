// Device: a client that keeps its half of the session as MQTT asks, over broken connections and
// crashes of the server: what it sent and is not acknowledged, and which QoS 2 packet ids it has
// received. It records what its application saw, in order.
#pragma once

#include <list>
#include <set>
#include <string>
#include <vector>

#include "unit/shard/world.hpp"

namespace skerry::shard::test {

class Device {
 public:
  explicit Device(Client& of) : client(of) {
    client.answers = true;
    client.on_packet = [this](const mqtt::Packet& packet) { hear(packet); };
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  struct Sent {
    std::uint16_t packet_id;
    std::string topic;
    std::string payload;
    mqtt::Qos qos;
    bool released = false;
    bool retain = false;
  };

  void connect(const ConnectOptions& options = persistent) {
    told = false;
    client.connect(options);
  }

  void publish(std::string topic, std::string payload, mqtt::Qos qos, bool retain = false) {
    if (qos == q0) {
      client.publish(topic, payload);
      return;
    }
    Sent& sent = open.emplace_back(
        Sent{free_id(), std::move(topic), std::move(payload), qos, false, retain});
    client.send(packet_of(sent, false));
  }

  Client& client;
  bool told = false;     ///< CONNACK has come on this connection
  std::list<Sent> open;  ///< not acknowledged yet, in order
  std::set<std::uint16_t> received;
  std::vector<std::pair<std::string, std::string>> delivered;  ///< topic, payload
  std::vector<std::string> acknowledged;                       ///< payloads, success only
  std::vector<std::string> refused;

  std::string payloads() const {
    std::string text;
    for (const auto& [topic, payload] : delivered) {
      text += payload;
    }
    return text;
  }

 private:
  std::uint16_t free_id() {
    for (;;) {
      last_id_ = static_cast<std::uint16_t>(last_id_ % 60'000 + 1);
      bool used = false;
      for (const Sent& sent : open) {
        used = used || sent.packet_id == last_id_;
      }
      if (!used) {
        return last_id_;
      }
    }
  }

  static mqtt::Packet packet_of(const Sent& sent, bool again) {
    if (sent.released) {
      return mqtt::Pubrel{{sent.packet_id}, {}, {}, {}};
    }
    mqtt::Publish publish;
    publish.topic = sent.topic;
    publish.payload = as_bytes(sent.payload);
    publish.qos = sent.qos;
    publish.retain = sent.retain;
    publish.dup = again;
    publish.packet_id.value = sent.packet_id;
    return publish;
  }

  void hear(const mqtt::Packet& packet) {
    if (const auto* connack = std::get_if<mqtt::Connack>(&packet)) {
      hear_connack(*connack);
    } else if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
      const bool twice = publish->qos == q2;
      if (!twice || received.insert(publish->packet_id.value).second) {
        delivered.emplace_back(publish->topic, as_text(publish->payload));
      }
    } else if (const auto* pubrel = std::get_if<mqtt::Pubrel>(&packet)) {
      received.erase(pubrel->packet_id.value);
    } else if (const auto* puback = std::get_if<mqtt::Puback>(&packet)) {
      end(puback->packet_id, mqtt::is_error(puback->reason));
    } else if (const auto* pubcomp = std::get_if<mqtt::Pubcomp>(&packet)) {
      end(pubcomp->packet_id, false);
    } else if (const auto* pubrec = std::get_if<mqtt::Pubrec>(&packet)) {
      if (mqtt::is_error(pubrec->reason)) {
        return end(pubrec->packet_id, true);
      }
      for (Sent& sent : open) {
        sent.released = sent.released || sent.packet_id == pubrec->packet_id.value;
      }
    }
  }

  void hear_connack(const mqtt::Connack& connack) {
    if (connack.reason != mqtt::Reason::success) {
      return;
    }
    told = true;
    if (!connack.session_present) {
      received.clear();
      for (auto sent = open.begin(); sent != open.end();) {
        // The server had the message when it answered PUBREC; what it had not comes as a new one.
        sent = sent->released ? open.erase(sent) : std::next(sent);
      }
    }
    for (const Sent& sent : open) {
      client.queue(packet_of(sent, connack.session_present));
    }
  }

  void end(mqtt::PacketId id, bool error) {
    for (auto sent = open.begin(); sent != open.end(); ++sent) {
      if (sent->packet_id == id.value) {
        (error ? refused : acknowledged).push_back(sent->payload);
        open.erase(sent);
        return;
      }
    }
  }

  std::uint16_t last_id_ = 0;
};

}  // namespace skerry::shard::test
