// Connections of a shard: CONNECT opens or resumes a session, the end of a connection closes or
// keeps it, and wills are published or held.

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.hpp"
#include "mqtt/codec.hpp"
#include "shard/shard_impl.hpp"
#include "shard/space.hpp"

namespace skerry::shard {
namespace {

/// A record that keeps a session for so long, and for half its expiry interval, will do after a
/// crash until the next one is stored.
constexpr Seconds kept_least{60};

mqtt::Frame frame_of(std::string_view bytes) {
  std::size_t header = 1;
  while (header < bytes.size() && header < 4 &&
         (static_cast<unsigned char>(bytes[header]) & 0x80) != 0) {
    ++header;
  }
  ++header;
  SKERRY_ASSERT(bytes.size() >= header);
  return {static_cast<std::uint8_t>(bytes[0]), as_bytes(bytes.substr(header)), as_bytes(bytes)};
}

std::unique_ptr<session::StoredWill> keep_will(const mqtt::Will& will) {
  mqtt::Publish publish{.topic = will.topic,
                        .payload = will.payload,
                        .qos = will.qos,
                        .retain = will.retain,
                        .properties = will.properties};
  auto kept = std::make_unique<session::StoredWill>();
  kept->delay_seconds = will.delay_interval;
  kept->message_expiry_seconds = will.properties.message_expiry_interval.value_or(0);
  publish.properties.message_expiry_interval.reset();  // it begins with publication
  kept->block = mqtt::make_block(publish, WallTime{});
  return kept;
}

/// What a CONNACK may say [MQTT-3.2.2-8] when a connection ends before it has been answered.
mqtt::Reason connack_reason(mqtt::Reason reason) noexcept {
  switch (reason) {  // NOLINT: the reasons that only a DISCONNECT has
    case mqtt::Reason::session_taken_over:
    case mqtt::Reason::keep_alive_timeout:
    case mqtt::Reason::server_shutting_down:
    case mqtt::Reason::administrative_action:
    case mqtt::Reason::receive_maximum_exceeded:
    case mqtt::Reason::topic_alias_invalid:
    case mqtt::Reason::topic_filter_invalid:
      return mqtt::Reason::server_unavailable;
    default:
      return reason;
  }
}

}  // namespace

Session* Shard::Impl::find(SessionId id) noexcept {
  if (found_last == nullptr || found_last->id() != id) {
    const auto found = by_id.find(id);
    found_last = found == by_id.end() ? nullptr : found->second;
  }
  return found_last;
}

Session* Shard::Impl::find_durable(DurableId id) noexcept {
  const auto found = by_durable.find(id);
  return found == by_durable.end() ? nullptr : found->second;
}

Shard::SessionId Shard::Impl::refuse(session::Link& link, mqtt::Version version,
                                     mqtt::Reason reason, const char* what) {
  mqtt::Connack connack;
  connack.reason = reason;
  connack.reason_string = what;
  mqtt::encode(connack, version, link.output());
  link.output_changed();
  counters().connections_refused.add();
  link.close(CloseCause::protocol_error);
  return 0;
}

Shard::SessionId Shard::Impl::open(ConnectRequest request, session::Link& link, Now now) {
  const auto packet =
      mqtt::decode(frame_of(request.connect_frame), mqtt::Version::v5, mqtt::Sender::client);
  const mqtt::Connect* connect = packet ? std::get_if<mqtt::Connect>(&*packet) : nullptr;
  if (connect == nullptr) {
    return refuse(link, mqtt::Version::v5, mqtt::Reason::malformed_packet,
                  "the first packet is not a CONNECT");
  }
  if (connect->will && !authorized(request.identity, plugin::Action::publish, connect->will->topic,
                                   request.client_id)) {
    return refuse(link, connect->version, mqtt::Reason::not_authorized,
                  "the will topic may not be published by this client");
  }
  if (refused_for_space(opens_durable(request, *connect))) {
    return refuse(link, connect->version, mqtt::Reason::quota_exceeded, space_is_low);
  }
  const std::string key = session_key(request.identity.owner(), request.client_id);
  if (const char* busy = no_room_for(*connect, key)) {
    return refuse(link, connect->version, mqtt::Reason::server_busy, busy);
  }
  // Before the other goes, so that a device which takes over its own session is never offline.
  tell_connected(request.identity, request.peer_address, now);
  const auto found = sessions.find(key);
  if (found != sessions.end()) {
    Session& old = *found->second;
    if (old.connected()) {  // [MQTT-3.1.4-3]
      counters().take_overs.add();
      end_connection(old, mqtt::Reason::session_taken_over,
                     "another connection has opened this session", CloseCause::taken_over, now);
      if (options.faults.drop_on_takeover) {
        drop_undelivered(key);
      }
    }
  }
  const auto kept = sessions.find(key);
  // One that was to end with its connection and lost that to a restart (section 3.1.2.11.2): it is
  // there still only until its will can reach all cores.
  const bool ended = kept != sessions.end() && !kept->second->persistent();
  // Under another policy the kept subscriptions would bring what this client may not have now.
  const bool other_policy = kept != sessions.end() &&
                            (kept->second->identity().policy != request.identity.policy ||
                             kept->second->identity().policy_name != request.identity.policy_name);
  if (ended || other_policy ||
      (kept != sessions.end() && connect->clean_start)) {  // [MQTT-3.1.2-4]
    remove_session(*kept->second, true, now);
  }
  const auto resumed = sessions.find(key);
  if (resumed == sessions.end() &&
      sessions.size() >= options.limits.sessions_max / options.core_count + 1) {
    tell_disconnected(request.identity, CloseCause::administrative, now);
    return refuse(link, connect->version, mqtt::Reason::quota_exceeded,
                  "the server keeps as many sessions as it is allowed to");
  }
  const bool present = resumed != sessions.end();
  // It was due before this connection was made: after a start that may have to be made up for.
  if (present && resumed->second->will() != nullptr && resumed->second->will_due_at <= now.steady) {
    publish_will(*resumed->second, now);
  }
  Session& session = present ? *resumed->second : create_session(request, now);
  adopt(session, request, *connect, present, link, now);
  return session.id();
}

void Shard::Impl::drop_undelivered(const std::string& key) {
  const auto kept = sessions.find(key);
  if (kept == sessions.end()) {
    return;
  }
  for (Delivery& delivery : kept->second->take_undelivered([](const Delivery&) { return true; })) {
    finish(*kept->second, delivery);
  }
}

// Why a connection is not taken now; null when it is. One that takes over another needs no more
// than that had.
const char* Shard::Impl::no_room_for(const mqtt::Connect& connect, const std::string& key) {
  const auto found = sessions.find(key);
  const bool replaces = found != sessions.end() && found->second->connected();
  if (!replaces && refuses(MemoryRefusal::connection)) {
    return "the server is short of memory; try again later";
  }
  const std::size_t share = options.limits.will_bytes_max / options.core_count;
  if (connect.will && counters().will_bytes.read() + connect.will->payload.size() > share) {
    return "the server keeps as many wills as it is allowed to";
  }
  return nullptr;
}

// The last one is at hand: whoever comes in numbers comes with the same.
session::IdentityPtr Shard::Impl::shared_identity(const plugin::Identity& identity) {
  const auto parts = [](const plugin::Identity& of) {
    return std::tie(of.kind, of.policy, of.proof, of.not_after, of.name, of.policy_name,
                    of.certificate_serial, of.key_fingerprint, of.proof_id);
  };
  if (last_identity == nullptr || parts(*last_identity) != parts(identity)) {
    last_identity = std::make_shared<const plugin::Identity>(identity);
  }
  return last_identity;
}

Session& Shard::Impl::create_session(const ConnectRequest& request, Now) {
  const std::uint64_t id = options.next_id->fetch_add(1, std::memory_order_relaxed);
  auto made =
      std::make_unique<Session>(*this, id, shared_identity(request.identity), request.client_id);
  Session& session = *made;
  session.set_client_hash(keyed_hash(options.hash_key, session.key()) | 1);
  by_id.emplace(id, &session);
  sessions.emplace(session.key(), std::move(made));
  return session;
}

void Shard::Impl::adopt(Session& session, const ConnectRequest& request,
                        const mqtt::Connect& connect, bool present, session::Link& link, Now now) {
  const Limits& cap = options.limits;
  credentials.remove(session);
  session.set_identity(shared_identity(request.identity));
  credentials.add(session);
  session.set_peer_address(request.peer_address);
  const std::uint32_t expiry =
      std::min(connect.session_expiry_interval, cap.session_expiry_max_seconds);
  const bool kept_long =
      expiry == session.expiry_seconds() &&
      session.expires_at >= now.steady + std::max(Seconds(expiry) / 2, kept_least);
  session.set_expiry_seconds(expiry);
  session.expires_at = SteadyTime::max();
  session.will_due_at = SteadyTime::max();  // [MQTT-3.1.3-9]: it came back in time
  const bool had_will = session.will() != nullptr;
  session.set_will(connect.will ? keep_will(*connect.will) : nullptr);
  std::uint16_t keep_alive = connect.keep_alive;
  if (cap.keep_alive_max_seconds != 0 && connect.version == mqtt::Version::v5 &&
      (keep_alive == 0 || keep_alive > cap.keep_alive_max_seconds)) {
    keep_alive = cap.keep_alive_max_seconds;  // older versions cannot be told and keep their own
  }
  const session::AttachSettings settings{
      {.version = connect.version,
       .keep_alive_seconds = keep_alive,
       .send_window = std::min(connect.receive_maximum, cap.inflight_max),
       .maximum_packet_size = connect.maximum_packet_size,
       .topic_alias_maximum = connect.topic_alias_maximum,
       .problem_information = connect.request_problem_information},
      request.rates};
  GateId gate;
  if (session.persistent() || session.durable_id() != DurableId{}) {
    // A client may rely on a new session once it hears of it; one that was there already is on
    // disk, if for long enough.
    const bool wait =
        session.durable_id() == DurableId{} || !kept_long || session.will() != nullptr || had_will;
    store_session(session, true, now);
    if (wait) {
      gate = open_gate({.session = session.id()});
      wait_for_commit(gate);
    }
  } else if (pending_erasures.contains(session.key())) {
    // What was thrown away must not be back after a crash once its client has heard so, be it for
    // this connection or for an earlier one that storage refused.
    gate = open_gate({.session = session.id()});
    wait_for_commit(gate);
  }
  session.attach(link, settings, connack_for(session, request, connect, keep_alive, present), gate,
                 now);
  tell_groups_connected(session, true);
  arm(session);
  reset_session_counters();
}

std::string Shard::Impl::connack_for(const Session& session, const ConnectRequest& request,
                                     const mqtt::Connect& connect, std::uint16_t keep_alive,
                                     bool present) const {
  const Limits& cap = options.limits;
  mqtt::Connack connack;
  connack.session_present = present;  // [MQTT-3.2.2-2] [MQTT-3.2.2-3]
  if (session.expiry_seconds() != connect.session_expiry_interval) {
    connack.session_expiry_interval = session.expiry_seconds();
  }
  connack.receive_maximum = cap.receive_maximum;
  connack.maximum_packet_size = cap.packet_size_max;
  connack.topic_alias_maximum = cap.topic_alias_max;
  if (request.client_id_assigned) {  // [MQTT-3.2.2-16]
    connack.assigned_client_identifier = request.client_id;
  }
  if (keep_alive != connect.keep_alive) {  // section 3.2.2.3.14
    connack.server_keep_alive = keep_alive;
  }
  std::string frame;
  mqtt::encode(connack, connect.version, frame);
  return frame;
}

void Shard::Impl::store_session(Session& session, bool connected, Now now) {
  if (session.durable_id() == DurableId{}) {
    const DurableId id{options.next_id->fetch_add(1, std::memory_order_relaxed)};
    session.set_durable_id(id);
    by_durable.emplace(id, &session);
    store_subscriptions(session);
  }
  SessionRecord record{.identity = session.identity(),
                       .client_id = std::string(session.client_id()),
                       .expiry_seconds = session.expiry_seconds(),
                       .connected = connected,
                       .disconnected_at = now.wall};
  if (const session::StoredWill* will = session.will()) {
    record.will = will->block;
    record.will_delay_seconds = will->delay_seconds;
    record.will_expiry_seconds = will->message_expiry_seconds;
  }
  batch.put(storage::Family::sessions, durable_key(session.durable_id()), encode_session(record));
  watch_record(session.durable_id());
}

void Shard::Impl::store_subscriptions(const Session& session) {
  for (const session::Subscription& subscription : session.subscriptions()) {
    batch.put(storage::Family::subscriptions,
              subscription_key(session.durable_id(), subscription.filter),
              encode_subscription(subscription));
  }
}

// Of a session or group that has ended; its number is never used again.
void Shard::Impl::erase_records(DurableId id) {
  const std::string from = durable_key(id);
  const std::string to = durable_key(DurableId{id.value + 1});
  batch.erase(storage::Family::sessions, from);
  batch.erase_range(storage::Family::subscriptions, from, to);
  batch.erase_range(storage::Family::inflight, from, to);
  watch_record(id);
}

// The last packet of a connection. DISCONNECT may not come before CONNACK [MQTT-3.14.0-1]. Rather
// without its text than larger than the client takes [MQTT-3.14.2-3], and rather nothing than that.
void Shard::Impl::write_farewell(Session& session, mqtt::Reason reason, const char* what) {
  std::string& out = session.link()->output();
  const std::size_t before = out.size();
  for (const char* text : {what, ""}) {
    out.resize(before);
    std::optional<std::string_view> reason_string;
    if (*text != '\0') {
      reason_string = text;
    }
    if (session.open()) {
      mqtt::Disconnect disconnect;
      disconnect.reason = reason;
      disconnect.reason_string = reason_string;
      mqtt::encode(disconnect, session.version(), out);
    } else {
      mqtt::Connack connack;
      connack.reason = connack_reason(reason);
      connack.reason_string = reason_string;
      mqtt::encode(connack, session.version(), out);
    }
    if (session.fits(out.size() - before)) {
      return;
    }
  }
  out.resize(before);
}

void Shard::Impl::end_connection(Session& session, mqtt::Reason reason, const char* what,
                                 CloseCause cause, Now now) {
  session::Link* link = session.link();
  if (link == nullptr) {
    return;
  }
  write_farewell(session, reason, what);
  link->output_changed();
  outside.log(1, "connection ended by server", session.client_id(), what);
  const bool keep_will = !session::ends_rights(cause) && cause != CloseCause::server_shutdown;
  tell_disconnected(session.identity(), cause, now);
  detach(session, keep_will, now);
  link->close(cause);
}

void Shard::Impl::client_disconnected(Session& session, bool with_will, Now now) {
  session::Link* link = session.link();
  const CloseCause cause =
      with_will ? CloseCause::disconnect_with_will : CloseCause::client_disconnected;
  tell_disconnected(session.identity(), cause, now);
  detach(session, with_will, now);  // [MQTT-3.14.4-3]: without, the will is gone
  link->close(cause);
}

namespace {

/// Presence is that of devices which have proven who they are.
bool has_presence(const plugin::Identity& identity) noexcept {
  return identity.kind == plugin::IdentityKind::device && !identity.certificate_serial.empty();
}

}  // namespace

void Shard::Impl::tell_connected(const plugin::Identity& identity, const std::string& address,
                                 Now now) {
  if (options.presence != nullptr && has_presence(identity)) {
    options.presence->connected(identity, address, now);
  }
}

void Shard::Impl::tell_disconnected(const plugin::Identity& identity, CloseCause cause, Now now) {
  if (options.presence != nullptr && has_presence(identity)) {
    options.presence->disconnected(identity, session::name_of(cause), now);
  }
}

void Shard::Impl::detach(Session& session, bool keep_will, Now now) {
  if (!session.open()) {
    // The CONNECT was not accepted, whatever has ended it: it leaves no will (section 3.1.2.5), and
    // no session that its client has never heard of and would be told is present next time.
    keep_will = false;
    if (!session.introduced()) {
      session.set_expiry_seconds(0);
    }
  }
  tell_groups_connected(session, false);
  session.detach();
  if (!keep_will) {
    session.set_will(nullptr);
  }
  if (!session.persistent()) {
    remove_session(session, true, now);
    return;
  }
  if (session.will() != nullptr) {
    const std::uint32_t delay = session.will()->delay_seconds;
    if (delay == 0) {
      publish_will(session, now);
    } else {  // [MQTT-3.1.3-9]
      session.will_due_at = now.steady + Seconds(delay);
    }
  }
  session.expires_at = now.steady + Seconds(session.expiry_seconds());
  expiry_at = std::min(expiry_at, now.steady + Seconds(1));
  store_session(session, false, now);
  arm(session);
  reset_session_counters();
}

void Shard::Impl::remove_session(Session& session, bool publish, Now now) {
  SKERRY_ASSERT(!session.connected());
  if (publish && session.will() != nullptr) {  // the session's end is the latest moment for a will
    publish_will(session, now);
  }
  session.set_will(nullptr);
  for (const session::Subscription& subscription : session.subscriptions()) {
    drop_subscription(session, subscription);
  }
  subscription_count -= session.subscriptions().size();
  session.subscriptions().clear();
  const DurableId durable = session.durable_id();
  let_go(session.id(), session.queue().take_resident());
  let_go(session.id(), std::move(session.inflight()));
  abandon(durable, session.queue().take_paged());
  if (durable != DurableId{}) {
    erase_records(durable);
    pending_erasures.add(durable, session.key(), next_ticket);
    by_durable.erase(durable);
  }
  credentials.remove(session);
  by_id.erase(session.id());
  found_last = nullptr;
  const auto found = sessions.find(session.key());
  SKERRY_ASSERT(found != sessions.end());
  graveyard.push_back(std::move(found->second));
  sessions.erase(found);
  reset_session_counters();
}

void Shard::Impl::reset_session_counters() {
  counters().sessions.set(sessions.size());
  counters().sessions_persistent.set(by_durable.size());
}

}  // namespace skerry::shard
