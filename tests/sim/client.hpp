// Client: a client of the simulated world. It speaks MQTT in bytes, keeps its half of the session
// as the specification asks, over broken connections and crashes of the server, and writes down
// what it may rely on: what was acknowledged, what it is subscribed to, what has arrived. What the
// server sends it is checked on the way (packet ids, windows, sizes, aliases, order of packets).
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mqtt/codec.hpp"
#include "mqtt/frame.hpp"
#include "sim/history.hpp"
#include "sim/random.hpp"

namespace skerry::sim {

class Connection;
class World;

class Client {
 public:
  Client(World& world, std::uint32_t index, mqtt::Version version);

  // What it does.
  void act();
  void connect();
  void answer();
  void ping(std::uint32_t serial);
  void publish(TopicIndex topic, mqtt::Qos qos, bool retain, bool empty);
  void subscribe(const std::vector<FilterIndex>& wanted, mqtt::Qos qos);
  void leave(int how);  ///< a Connection::Departure
  /// Comes back for good, with a session that stays.
  void come_back();
  /// DISCONNECT and the end of the session with it.
  void finish();

  // What it hears.
  void receive(Connection& from, std::string_view bytes);
  /// The server (or the network) has ended its connection.
  void closed(Connection& which);

  bool connected() const noexcept { return told_; }
  bool quiet() const noexcept {
    return told_ && open_.empty() && received_.empty() && to_answer_.empty() && requests_.empty();
  }
  /// What it knew of its session holds no more: an operator or its rights have ended it.
  void session_disturbed();
  /// The same of its subscriptions that may be denied.
  void topics_disturbed();
  /// Asks for all retained messages.
  void subscribe_all();
  void remove_retained(TopicIndex topic);
  std::string payload_of(MessageNumber message) const;
  /// The server was gone from `since` on, and started again now.
  void server_restarted(Time now);
  // The server's side of its connections.
  void answered(std::uint16_t packet_id, mqtt::Reason reason);  ///< which it may never hear
  void server_opened(const Connection& connection);
  void server_let_go(const Connection& connection);
  std::string state() const;

  World& world;
  const std::uint32_t index;
  const mqtt::Version version;
  const std::string name;  ///< "c3": of its owner and its client id
  Connection* wire = nullptr;
  bool calm = false;  ///< the world is coming to its end: it stays and answers at once
  bool probe = false;
  std::uint32_t incarnation = 0;
  std::vector<Interest> interests;
  std::vector<Arrival> arrivals;
  std::uint32_t packet_size_max = 0;  ///< 0: none was ever named
  bool ever_denied = false;           ///< its rights or topics were taken at one time
  Time denied_since = never;          ///< all cores know by now
  Time topics_denied_since = never;
  bool persists = false;

 private:
  friend class Oracle;
  struct Outgoing {
    MessageNumber message;
    std::uint16_t packet_id;
    mqtt::Qos qos;
    bool released = false;
  };
  struct Request {
    std::uint16_t packet_id;
    bool subscribe;
    std::vector<std::size_t> interests;
  };

  std::uint16_t free_id();
  void write(const mqtt::Packet& packet);
  void write_publish(const Outgoing& sent, bool dup);
  void act_publish();
  void act_subscribe();
  void act_unsubscribe();
  void act_disconnect();
  void disturb_groups();
  void make_will(mqtt::Connect& packet, std::string& payload);
  void end_connection();
  void hear(const mqtt::Packet& packet, std::size_t bytes);
  void hear_connack(const mqtt::Connack& connack);
  void check_present(bool present);
  void session_lost();
  void hear_publish(mqtt::Publish publish);
  void arrive(const mqtt::Publish& publish);
  void check_arrival(const Message& message, const Arrival& arrival, const mqtt::Publish& publish);
  void check_rights(const Message& message, const Arrival& arrival);
  bool accept_id(const mqtt::Publish& publish);
  void settle_open(std::uint16_t id, Outcome outcome);
  bool asked_again(std::size_t interest, bool by_subscribe) const;
  void hear_suback(const mqtt::Suback& suback);
  void hear_unsuback(const mqtt::Unsuback& unsuback);
  void hear_acknowledgement(std::uint16_t id, mqtt::Qos qos, mqtt::Reason reason);
  void hear_pubcomp(std::uint16_t id);
  void reply(mqtt::Packet packet);
  void fail(const std::string& what);

  mqtt::FrameDecoder decoder_{1 << 28};
  bool told_ = false;       ///< CONNACK has come on this connection
  bool farewell_ = false;   ///< DISCONNECT has come
  bool finishing_ = false;  ///< ends its session with the CONNACK
  bool clean_ = true;
  bool must_clean_ = false;  ///< has sent Clean Start and was not answered
  Time overtaken_at_ = 0;    ///< an earlier connection's CONNECT came to the server so late
  std::uint32_t expiry_ = 0;
  std::uint16_t window_ = 65'535;
  std::uint16_t server_window_ = 1;
  std::uint16_t server_aliases_ = 0;
  std::uint32_t packet_size_now_ = 0;
  std::list<Outgoing> open_;
  std::set<std::uint16_t> received_;    ///< QoS 2 ids that are not released
  std::set<std::uint16_t> unanswered_;  ///< QoS 1 and 2 of this connection
  std::vector<Request> requests_;
  std::deque<mqtt::Packet> to_answer_;
  std::map<std::uint16_t, std::string> aliases_;
  std::map<TopicIndex, std::uint16_t> own_aliases_;
  std::uint16_t last_id_ = 0;
  std::uint32_t ping_serial_ = 0;
  std::uint16_t keep_alive_ = 0;
  // The session as the server must see it: it is there until `sure_until_`, gone after
  // `gone_after_`.
  bool sure_ = false;
  Time sure_until_ = 0;
  Time gone_after_ = 0;
  std::uint32_t sure_expiry_ = 0;  ///< seconds; the lowest that the server may have in force
  std::uint32_t longest_expiry_ = 0;
};

}  // namespace skerry::sim
