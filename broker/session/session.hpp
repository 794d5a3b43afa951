// Session: one client's protocol life, across connections when it persists. It answers packets,
// keeps QoS 1 and 2 in flight in both directions, enforces what was agreed at CONNECT, and asks its
// Host for everything beyond the one client. No I/O and no clock: bytes go to a Link, time is an
// argument.
//
//   detached ──attach()──▶ opening ──CONNACK left──▶ open ──detach()──▶ detached
//
// Belongs to one core. The host owns it and keeps it alive until the end of the turn even when it
// was removed meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ring.hpp"
#include "mqtt/frame.hpp"
#include "mqtt/packet.hpp"
#include "plugin/identity.hpp"
#include "session/acknowledgements.hpp"
#include "session/aliases.hpp"
#include "session/delivery.hpp"
#include "session/delivery_queue.hpp"
#include "session/frame_cache.hpp"
#include "session/host.hpp"
#include "session/link.hpp"
#include "session/rate_meter.hpp"

namespace skerry::session {

struct Subscription {
  std::string filter;  ///< as the client wrote it, `$share/…` included
  mqtt::SubscriptionOptions options;
  std::uint32_t identifier = 0;
};

/// A will as it is kept until it is published or dropped.
struct StoredWill {
  mqtt::BlockPtr block;  ///< topic, payload, QoS, retain and properties but for the expiry
  std::uint32_t delay_seconds = 0;
  std::uint32_t message_expiry_seconds = 0;  ///< counted from publication; 0: none
};

/// Kept once for sessions that came with the same credentials: most of a listener's anonymous ones.
using IdentityPtr = std::shared_ptr<const plugin::Identity>;

/// What the host keeps of the topic that a client published to last, so that a client that stays
/// with its topic is not judged and routed anew with each message. The session only holds it, and
/// knows by it that the topic is a valid one.
struct PublishPath {
  virtual ~PublishPath() = default;
  std::string topic;
};

/// What CONNECT settled for one connection.
struct ConnectionSettings {
  mqtt::Version version = mqtt::Version::v5;
  std::uint16_t keep_alive_seconds = 0;   ///< in force, the server's own included; 0: none
  std::uint16_t send_window = 65'535;     ///< QoS 1 and 2 open towards the client
  std::uint32_t maximum_packet_size = 0;  ///< of the client; 0: none
  std::uint16_t topic_alias_maximum = 0;  ///< of the client
  bool problem_information = true;        ///< may we send reason strings
};

/// The same with what attach() alone wants to know.
struct AttachSettings : ConnectionSettings {
  RateLimits rates;  ///< what the client may send
};

class Session {
 public:
  Session(Host& host, std::uint64_t id, IdentityPtr identity, std::string_view client_id);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { set_will(nullptr); }

  std::uint64_t id() const noexcept { return id_; }
  const std::string& key() const noexcept { return key_; }  ///< owner NUL client id
  std::string_view client_id() const noexcept {
    return std::string_view(key_).substr(key_.size() - client_id_size_);
  }
  /// Stands for the client in messages on their way, whichever of its sessions has sent them; the
  /// host sets it, and it is not 0.
  std::uint64_t client_hash() const noexcept { return client_hash_; }
  void set_client_hash(std::uint64_t hash) noexcept { client_hash_ = hash; }
  const plugin::Identity& identity() const noexcept { return *identity_; }
  void set_identity(IdentityPtr identity) {
    identity_ = std::move(identity);
    publish_path.reset();
  }
  void set_not_after(WallTime when);

  /// Set while the session is on disk, so that it and its messages survive a restart.
  DurableId durable_id() const noexcept { return durable_id_; }
  void set_durable_id(DurableId id) noexcept { durable_id_ = id; }
  std::uint32_t expiry_seconds() const noexcept { return expiry_seconds_; }
  void set_expiry_seconds(std::uint32_t seconds) noexcept { expiry_seconds_ = seconds; }
  /// Outlives its connection.
  bool persistent() const noexcept { return expiry_seconds_ != 0; }

  bool connected() const noexcept { return link_ != nullptr; }
  bool open() const noexcept { return open_; }
  /// Has a client ever been told of this session, or may one have been before a restart?
  bool introduced() const noexcept { return introduced_; }
  void set_introduced() noexcept { introduced_ = true; }
  mqtt::Version version() const noexcept { return settings_.version; }
  Link* link() const noexcept { return link_; }
  const std::string& peer_address() const noexcept { return peer_address_; }
  void set_peer_address(std::string address) { peer_address_ = std::move(address); }

  std::vector<Subscription>& subscriptions() noexcept { return subscriptions_; }
  const std::vector<Subscription>& subscriptions() const noexcept { return subscriptions_; }
  Subscription* find_subscription(std::string_view filter) noexcept;

  const StoredWill* will() const noexcept { return will_.get(); }
  void set_will(std::unique_ptr<StoredWill> will) noexcept;
  std::unique_ptr<StoredWill> take_will() noexcept;

  // --- connection -----------------------------------------------------------------------------

  /// Binds the session to a connection. `connack` leaves once `gate` has opened; then what was in
  /// flight is sent again [MQTT-4.4.0-1] and what waited follows.
  void attach(Link& link, const AttachSettings& settings, std::string connack, GateId gate,
              Now now);
  /// Forgets the connection: aliases and unanswered requests end with it. A session that does not
  /// persist is removed by the host afterwards.
  void detach();

  /// One frame; false when the connection has ended in the course of it.
  bool on_frame(const mqtt::Frame& frame, Now now);

  /// `gate` of a waiting acknowledgement has opened.
  void open_acknowledgement(GateId gate, GateResult result, Now now);
  /// The packet id of an outbound QoS 2 message is stored (or could not be).
  void outbound_stored(mqtt::PacketId packet_id, GateResult result, Now now);
  void released_stored(mqtt::PacketId packet_id, GateResult result, Now now);

  /// Queues an answer that the host has encoded (SUBACK, UNSUBACK); it leaves in its turn.
  void answer(mqtt::PacketType type, std::string frame, GateId gate, Now now);

  /// Waiting messages move as far as the window and the connection let them.
  void pump(Now now);

  /// The connection can take more output: what waited for that goes on, reading too.
  void output_drained(Now now);

  /// The host is behind (or is not any more) and wants nothing read. False: it had said so before.
  bool pause_reading(bool paused, Now now);
  /// While we do not read, nobody is late: the keep-alive begins anew.
  void excuse_silence(Now now) noexcept {
    if (pauses_ != 0) {
      last_received_ = now.steady;
    }
  }
  /// Is the client not read because it sends too fast?
  bool held_by_rate() const noexcept { return (pauses_ & pause_by_rate) != 0; }
  /// When that ends; SteadyTime::max() when it is not so.
  SteadyTime rate_resumes_at() const noexcept {
    return held_by_rate() ? rate_->resumes_at() : SteadyTime::max();
  }
  /// Reads again when it is time.
  void resume_rate(Now now);

  /// Does the client take a packet of this size [MQTT-3.1.2-24]?
  bool fits(std::size_t frame_bytes) const noexcept {
    return settings_.maximum_packet_size == 0 || frame_bytes <= settings_.maximum_packet_size;
  }

  // --- delivery -------------------------------------------------------------------------------

  /// What a session needs to know of one message that matched it.
  struct Match {
    mqtt::Qos qos =
        mqtt::Qos::at_most_once;  ///< already the lower of publisher's and subscription's
    bool retain = false;
    std::span<const std::uint32_t> subscription_identifiers;
  };

  /// Sends at QoS 0 or drops and counts: it never waits. `cache` may be null.
  void deliver_at_most_once(const mqtt::Publish& publish, const Match& match, FrameCache* cache);

  /// Must deliver() be given a message block, because it may have to wait or be sent again?
  bool needs_message() const noexcept { return outlives() || !can_send() || !queue_.empty(); }

  /// Takes a QoS 1 or 2 message: sends it when the window allows, else queues it under the caps.
  /// `publish` shows the content; `delivery.message` may be null when needs_message() is false.
  void deliver(Delivery delivery, const mqtt::Publish& publish, Now now);

  /// Is there room for a slice of retained messages? Whoever is not connected has its queue; who
  /// reads slowly gets them as it reads.
  bool has_room_for_retained() const noexcept;

  /// Drops what has expired at the front of the queue, at most `count_max`; how many those were.
  std::size_t drop_expired(std::size_t count_max, Now now);

  std::size_t queued_count() const noexcept { return queue_.size(); }
  std::size_t inflight_count() const noexcept { return inflight_.size(); }
  DeliveryQueue& queue() noexcept { return queue_; }
  Ring<Delivery>& inflight() noexcept { return inflight_; }
  std::vector<mqtt::PacketId>& inbound_ids() noexcept { return inbound_ids_; }

  /// Takes out what `unwanted` says of all that waits in memory and, at QoS 1, of what is in flight
  /// there; to be followed by the end of the connection, if there is one. What is on disk alone is
  /// judged when it is read. O(queue).
  std::vector<Delivery> take_undelivered(const std::function<bool(const Delivery&)>& unwanted);

  // --- what is on disk alone (paging.cpp) -------------------------------------------------------

  /// Lets go of messages that are on disk: all of a detached session, of a connected one what is
  /// not soon sent. True: call again later.
  bool page_out();
  /// The numbers of the messages that must be read next, and the serial of this reading. None: the
  /// need has passed, and the reading is over.
  struct Reading {
    std::uint32_t serial = 0;
    std::vector<MessageId> ids;
  };
  Reading begin_reading();
  /// Is this the reading that is under way?
  bool is_reading(std::uint32_t serial) const noexcept {
    return reading_ && serial == read_serial_;
  }
  /// Whom a message that was read is for, as its record says. What the client may know by a packet
  /// id of QoS 2 must come to its end whatever its rights are by now.
  struct Awaited {
    DurableId recipient;
    bool known_to_client = false;
  };
  Awaited awaited(MessageId id) noexcept;
  /// One message of the reading, in the order of its ids; without `delivery.message` it is gone or
  /// may not be seen, and is dropped as `reason` says. `recipient`, `retain` and the subscription
  /// identifiers of `delivery` are those of the record.
  void take_back(MessageId id, Delivery delivery, DropReason reason);
  void finish_reading(Now now);

  /// Puts a delivery back from storage at start.
  void restore_queued(Paged paged) { queue_.restore(std::move(paged)); }
  void restore_inflight(Delivery delivery);
  /// After the last of these: puts all in the order in which it was sent or will be.
  void restore_order();
  /// Takes out of the queue what storage says is done or in flight already. O(queue).
  void remove_restored(const std::set<std::uint64_t>& message_ids) {
    queue_.remove_restored(message_ids);
  }

  // --- time -----------------------------------------------------------------------------------

  /// When the peer must have been heard of; SteadyTime::max() without keep-alive.
  SteadyTime keep_alive_deadline() const noexcept;

  /// Work place of the shard: the serial of the last publish that matched this session and where it
  /// stands in the list of matches, so that overlapping subscriptions merge without a search.
  std::uint64_t match_serial = 0;
  std::uint32_t match_index = 0;
  /// The shard's own; null until it is wanted, and when what it was made of has changed.
  std::unique_ptr<PublishPath> publish_path;
  /// When the detached session ends and its will is due; max() when not set.
  SteadyTime expires_at = SteadyTime::max();
  SteadyTime will_due_at = SteadyTime::max();
  /// Earliest moment for which the shard has a timer running for this session.
  SteadyTime timer_armed_at = SteadyTime::max();

 private:
  bool on_publish(const mqtt::Frame& frame, Now now);
  void handle_publish(mqtt::Publish& publish, Now now);
  bool accept_inbound_id(const mqtt::Publish& publish, Now now);
  void on_puback(const mqtt::Puback& packet, Now now);
  void on_pubrec(const mqtt::Pubrec& packet, Now now);
  void on_pubrel(const mqtt::Pubrel& packet, Now now);
  void on_pubcomp(const mqtt::Pubcomp& packet, Now now);
  void on_disconnect(const mqtt::Disconnect& packet, Now now);
  void dispatch(const mqtt::Packet& packet, Now now);
  void on_short_ack(mqtt::PacketType type, mqtt::PacketId packet_id, Now now);

  /// What is sent may be wanted again: after a reconnect, or once its packet id is stored.
  bool outlives() const noexcept { return persistent() || durable_id_ != DurableId{}; }

  GateId pending_inbound(mqtt::PacketId packet_id) const noexcept;
  bool settle_inbound(GateId gate, GateResult result);
  bool refuse(Acknowledgement& waiting) const noexcept;
  // Who wants nothing read from the peer: the host is behind, answers wait, the peer is too fast.
  enum Pause : std::uint8_t { pause_by_host = 1, pause_by_answers = 2, pause_by_rate = 4 };
  void set_pause(Pause why, bool on, Now now);
  bool count_rate(const mqtt::Frame& frame, Now now);
  bool handle_frame(const mqtt::Frame& frame, Now now);
  void acknowledge(Acknowledgement acknowledgement, Now now);
  void drain_acknowledgements(Now now);
  void write_acknowledgement(const Acknowledgement& acknowledgement, Now now);
  void fail(const mqtt::Violation& violation, Now now);

  /// Unsent bytes of the connection.
  std::size_t unsent_bytes() const { return link_->backlog_bytes() + link_->output().size(); }
  bool has_room_behind(std::size_t unsent) const noexcept;
  DropReason why_full(std::size_t unsent) const noexcept;
  bool can_send() const noexcept;
  bool may_write() const noexcept;
  void resend(Now now);
  bool resend_one(Delivery& delivery, Now now);
  void send_new(Delivery delivery, const mqtt::Publish* publish, Now now);
  void store_packet_id(Delivery& delivery, Now now);
  bool write_publish(Delivery& delivery, const mqtt::Publish* publish, Now now);
  void give_up(Delivery& delivery, DropReason reason);
  OutboundAliases::Alias choose_alias(std::string_view topic, mqtt::PublishHeader& header);
  bool release(Delivery& delivery);
  void write_release(mqtt::PacketId packet_id);
  void enqueue(Delivery delivery);
  void read_ahead();
  bool page_out_inflight();
  static bool is_unread(const Delivery& delivery) noexcept;
  Delivery* find_unread(MessageId id) noexcept;
  void drop_front(DropReason reason);
  Delivery* find_inflight(mqtt::PacketId packet_id) noexcept;
  void remove_inflight(Delivery& delivery);
  mqtt::PacketId next_packet_id() noexcept;
  Host& host_;
  Link* link_ = nullptr;
  std::uint64_t id_;
  std::uint64_t client_hash_ = 0;
  std::string key_;
  std::uint32_t client_id_size_;
  std::uint32_t expiry_seconds_ = 0;
  DurableId durable_id_;
  IdentityPtr identity_;
  std::string peer_address_;
  ConnectionSettings settings_;
  bool open_ = false;
  bool introduced_ = false;
  std::uint8_t pauses_ = 0;  ///< of Pause
  bool resend_due_ = false;  ///< something in flight may have to be written
  std::uint16_t last_packet_id_ = 0;
  bool ids_in_order_ = true;  ///< packet ids in flight grow from the front to the last one given
  std::uint16_t inbound_open_ = 0;  ///< QoS 1 and 2 of the client that are not acknowledged
  std::uint32_t on_wire_ = 0;       ///< in-flight deliveries that this connection has seen
  std::uint32_t read_serial_ = 0;   ///< of the last reading
  bool reading_ = false;            ///< asked of the host
  bool paging_ = false;             ///< the host knows that page_out() is wanted
  bool inflight_unread_ = false;    ///< something in flight must be read before it is sent again
  bool inflight_resident_ = false;  ///< something in flight may be let go
  SteadyTime last_received_{};
  Acknowledgements acknowledgements_;
  DeliveryQueue queue_;                      ///< waits for the window
  Ring<Delivery> inflight_;                  ///< in the order of sending
  std::vector<mqtt::PacketId> inbound_ids_;  ///< QoS 2 received, not released
  struct PendingInbound {
    mqtt::PacketId packet_id;
    GateId gate;
  };
  std::vector<PendingInbound> inbound_pending_;  ///< those of them that are not stored yet
  std::vector<Subscription> subscriptions_;
  std::unique_ptr<StoredWill> will_;
  std::unique_ptr<RateMeter> rate_;  ///< null without limits
  std::unique_ptr<InboundAliases> inbound_aliases_;
  std::unique_ptr<OutboundAliases> outbound_aliases_;
};

}  // namespace skerry::session
