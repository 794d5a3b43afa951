// What a client does. What it hears is in client_hear.cpp.
#include "sim/client.hpp"

#include <algorithm>
#include <utility>

#include "sim/describe.hpp"
#include "sim/world.hpp"

namespace skerry::sim {

using mqtt::Qos;

Client::Client(World& in, std::uint32_t number, mqtt::Version spoken)
    : world(in), index(number), version(spoken), name("c" + std::to_string(number)) {}

void Client::fail(const std::string& what) {
  world.fail(name + ": " + what);
}

std::uint16_t Client::free_id() {
  for (;;) {
    last_id_ = static_cast<std::uint16_t>(last_id_ % 60'000 + 1);
    const bool used =
        std::any_of(open_.begin(), open_.end(),
                    [this](const Outgoing& sent) { return sent.packet_id == last_id_; }) ||
        std::any_of(requests_.begin(), requests_.end(),
                    [this](const Request& request) { return request.packet_id == last_id_; });
    if (!used) {
      return last_id_;
    }
  }
}

void Client::write(const mqtt::Packet& packet) {
  std::string bytes;
  mqtt::encode(packet, version, bytes);
  if (world.traced()) {
    world.line(name + " sends " + describe(packet));
  }
  wire->send(bytes);
}

std::string Client::payload_of(MessageNumber number) const {
  const Message& message = world.history[number];
  if (message.empty) {
    return {};
  }
  std::string payload = std::to_string(number) + ".";
  payload.append(number % 7 * (number % 5 == 0 ? 40 : 3), '-');
  return payload;
}

void Client::write_publish(const Outgoing& sent, bool dup) {
  const Message& message = world.history[sent.message];
  const std::string payload = payload_of(sent.message);
  mqtt::Publish publish{.topic = topics[message.topic], .payload = as_bytes(payload)};
  publish.packet_id.value = sent.packet_id;
  publish.qos = sent.qos;
  publish.retain = message.retain;
  publish.dup = dup;
  mqtt::PublishHeader header{.packet_id = publish.packet_id,
                             .qos = sent.qos,
                             .retain = message.retain,
                             .dup = dup,
                             .message_expiry_interval = {},
                             .subscription_identifiers = {}};
  if (message.expiry_seconds != 0) {
    header.message_expiry_interval = message.expiry_seconds;
  }
  if (server_aliases_ != 0 && world.swarm.has(Feature::aliases) && version == mqtt::Version::v5) {
    const auto known = own_aliases_.find(message.topic);
    if (known != own_aliases_.end()) {
      header.topic_alias = known->second;
      header.topic_empty = world.random.chance(800);
    } else if (own_aliases_.size() < server_aliases_) {
      header.topic_alias = static_cast<std::uint16_t>(own_aliases_.size() + 1);
      own_aliases_.emplace(message.topic, header.topic_alias);
    }
  }
  if (world.traced()) {
    world.line(name + " sends " + describe(publish));
  }
  std::string bytes;
  mqtt::encode_publish(publish, header, version, bytes);
  wire->send(bytes);
}

void Client::publish(TopicIndex topic, Qos qos, bool retain, bool empty) {
  Message message{.publisher = static_cast<std::int32_t>(index),
                  .topic = topic,
                  .qos = qos,
                  .retain = retain,
                  .empty = empty,
                  .sent = world.now()};
  if (topic == forbidden_topic) {
    message.outcome = Outcome::forbidden;
  } else if (qos == Qos::at_most_once) {
    message.outcome = Outcome::acknowledged;
  }
  if (!calm && !empty && version == mqtt::Version::v5 && world.swarm.has(Feature::message_expiry) &&
      world.random.chance(300)) {
    message.expiry_seconds = static_cast<std::uint32_t>(1 + world.random.below(5));
  }
  Outgoing sent{.message = world.history.add(message), .packet_id = 0, .qos = qos};
  if (qos != Qos::at_most_once) {
    sent.packet_id = free_id();
    open_.push_back(sent);
  }
  write_publish(sent, false);
}

void Client::act_publish() {
  const Swarm& swarm = world.swarm;
  Random& random = world.random;
  std::vector<Qos> levels;
  for (const auto& [feature, qos] :
       {std::pair{Feature::qos0, Qos::at_most_once}, std::pair{Feature::qos1, Qos::at_least_once},
        std::pair{Feature::qos2, Qos::exactly_once}}) {
    if (swarm.has(feature)) {
      levels.push_back(qos);
    }
  }
  const Qos qos = levels.empty() ? Qos::at_most_once : levels[random.below(levels.size())];
  const std::size_t window = version == mqtt::Version::v5 ? server_window_ : std::size_t{20};
  if (qos != Qos::at_most_once && open_.size() >= window) {
    return;
  }
  auto topic = static_cast<TopicIndex>(random.below(group_topics));
  if (swarm.has(Feature::shared) && random.chance(350)) {
    topic = static_cast<TopicIndex>(group_topics + random.below(will_topics - group_topics));
  }
  const bool retain = swarm.has(Feature::retained) && random.chance(300);
  publish(topic, qos, retain, retain && random.chance(250));
}

void Client::subscribe(const std::vector<FilterIndex>& wanted, Qos qos) {
  Random& random = world.random;
  const bool five = version == mqtt::Version::v5;
  mqtt::Subscribe packet;
  Request request{.packet_id = free_id(), .subscribe = true, .interests = {}};
  packet.packet_id.value = request.packet_id;
  if (five && world.swarm.has(Feature::identifiers) && random.chance(600)) {
    packet.subscription_identifier = 1u + wanted.front();
  }
  for (const FilterIndex filter : wanted) {
    if (packet.subscription_identifier != 0 && filter != wanted.front()) {
      break;  // an identifier says which filter it was
    }
    mqtt::SubscriptionOptions how{.maximum_qos = qos};
    if (five) {
      how.no_local =
          world.swarm.has(Feature::no_local) && !is_group(filter) && !probe && random.chance(400);
      how.retain_as_published = !probe && world.swarm.has(Feature::retained) && random.chance(300);
      how.retain_handling = static_cast<std::uint8_t>(probe ? 0 : random.below(3));
    }
    packet.filters.push_back({filters[filter], how});
    auto known = std::find_if(interests.begin(), interests.end(), [&](const Interest& interest) {
      return interest.filter == filter && interest.possible_until == never;
    });
    if (known == interests.end()) {
      interests.push_back(
          {.filter = filter, .incarnation = incarnation, .possible_from = world.now()});
      known = interests.end() - 1;
    }
    known->lowest = std::min(known->lowest, qos);
    known->some_local = known->some_local || !how.no_local;
    known->some_no_local = known->some_no_local || how.no_local;
    known->as_published = known->as_published || how.retain_as_published;
    known->identifier = known->identifier || packet.subscription_identifier != 0;
    request.interests.push_back(static_cast<std::size_t>(known - interests.begin()));
  }
  requests_.push_back(std::move(request));
  write(packet);
}

void Client::act_subscribe() {
  Random& random = world.random;
  std::vector<FilterIndex> wanted;
  for (std::size_t i = 1 + random.below(3); i > 0; --i) {
    const bool group = world.swarm.has(Feature::shared) && random.chance(300);
    const auto filter =
        static_cast<FilterIndex>(group ? group_filters + random.below(filter_count - group_filters)
                                       : random.below(group_filters));
    if (std::find(wanted.begin(), wanted.end(), filter) == wanted.end()) {
      wanted.push_back(filter);
    }
  }
  const auto lowest = static_cast<std::uint64_t>(world.swarm.has(Feature::qos0) ? 0 : 1);
  subscribe(wanted, static_cast<Qos>(lowest + random.below(3 - lowest)));
}

void Client::act_unsubscribe() {
  const auto filter = static_cast<FilterIndex>(world.random.below(filter_count));
  Request request{.packet_id = free_id(), .subscribe = false, .interests = {}};
  for (std::size_t i = 0; i < interests.size(); ++i) {
    Interest& interest = interests[i];
    if (interest.filter == filter && interest.possible_until == never) {
      interest.sure_until = std::min(interest.sure_until, world.now());
      request.interests.push_back(i);
    }
  }
  if (is_group(filter)) {
    world.history.group_disturbed[filter] = world.now();
  }
  mqtt::Unsubscribe packet;
  packet.packet_id.value = request.packet_id;
  packet.filters.push_back(filters[filter]);
  requests_.push_back(std::move(request));
  write(packet);
}

void Client::act_disconnect() {
  Random& random = world.random;
  mqtt::Disconnect packet;
  if (version == mqtt::Version::v5 && random.chance(300)) {
    packet.reason = mqtt::Reason::disconnect_with_will_message;
  } else if (version == mqtt::Version::v5 && expiry_ != 0 && wire->will == 0 &&
             random.chance(200) && world.swarm.has(Feature::short_expiry)) {
    const auto changed = static_cast<std::uint32_t>(random.below(4));
    packet.session_expiry_interval = changed;
    sure_ = sure_ && changed != 0;
    sure_expiry_ = std::min(sure_expiry_, changed);
    longest_expiry_ = std::max(longest_expiry_, changed);
    wire->expiry = std::min(wire->expiry, changed);
    disturb_groups();
  }
  write(packet);
  wire->leave(Connection::Departure::end);
  end_connection();
}

void Client::leave(int how) {
  if (wire != nullptr) {
    wire->leave(static_cast<Connection::Departure>(how));
    end_connection();
  }
}

void Client::end_connection() {
  if (!told_ && (!sure_ || world.now() > sure_until_ - 10 * millisecond)) {
    must_clean_ = true;  // the server may have begun a session of which this client has not heard
  }
  wire = nullptr;
  told_ = farewell_ = false;
  to_answer_.clear();
  unanswered_.clear();
  requests_.clear();
  aliases_.clear();
  own_aliases_.clear();
  decoder_ = mqtt::FrameDecoder{1 << 28};
  ++ping_serial_;
  if (expiry_ == 0) {
    disturb_groups();
  }
}

// A member that may have left takes with it what it had at QoS 2, and a group without members ends.
void Client::disturb_groups() {
  for (const Interest& interest : interests) {
    if (is_group(interest.filter) && interest.possible_until == never) {
      world.history.group_disturbed[interest.filter] = world.now();
    }
  }
}

void Client::connect() {
  const Swarm& swarm = world.swarm;
  Random& random = world.random;
  if (!world.machine->running()) {
    return;
  }
  const bool five = version == mqtt::Version::v5;
  // Who has once thrown its session away cannot take up what the server may still have of it.
  clean_ = must_clean_ || (!calm && swarm.has(Feature::clean_start) && random.chance(200));
  expiry_ = 3600;
  if (!calm && swarm.has(Feature::short_sessions) && random.chance(300)) {
    expiry_ = 0;
    clean_ = clean_ || !five;
  } else if (!calm && five && swarm.has(Feature::short_expiry) && random.chance(300)) {
    expiry_ = static_cast<std::uint32_t>(1 + random.below(5));
  }
  if (!five) {
    expiry_ = clean_ ? 0 : swarm.limits.session_expiry_max_seconds;
  }
  window_ = 65'535;
  packet_size_now_ = 0;
  std::uint16_t alias_max = 0;
  if (five && swarm.has(Feature::small_window)) {
    window_ = static_cast<std::uint16_t>(1 + random.below(6));
  }
  if (five && swarm.has(Feature::aliases)) {
    alias_max = static_cast<std::uint16_t>(random.below(4));
  }
  if (five && swarm.has(Feature::packet_size) && index % 2 == 1 && !probe) {
    packet_size_now_ = packet_size_max = 120 + index * 10;
  }
  keep_alive_ = !calm && swarm.has(Feature::keep_alive)
                    ? static_cast<std::uint16_t>(1 + random.below(4))
                    : std::uint16_t{0};
  mqtt::Connect packet{.version = version,
                       .clean_start = clean_,
                       .keep_alive = keep_alive_,
                       .client_id = name,
                       .session_expiry_interval = expiry_,
                       .receive_maximum = window_,
                       .maximum_packet_size = packet_size_now_,
                       .topic_alias_maximum = alias_max};
  if (clean_ || expiry_ == 0) {
    sure_ = false;
    disturb_groups();
  }
  if (clean_) {
    must_clean_ = true;
    session_lost();
  }
  sure_expiry_ = std::min(sure_expiry_, expiry_);
  longest_expiry_ = std::max(longest_expiry_, expiry_);
  wire = &world.dial(*this);
  wire->clean = clean_;
  wire->expiry = expiry_;
  wire->slow = swarm.has(Feature::slow_readers) && random.chance(400);
  std::string will_payload;
  if (!calm && swarm.has(Feature::wills) && random.chance(600)) {
    make_will(packet, will_payload);
  }
  write(packet);
  if (keep_alive_ != 0) {
    world.schedule(World::Event::ping, keep_alive_ * second / 2, index, ping_serial_);
  }
}

void Client::make_will(mqtt::Connect& packet, std::string& payload) {
  Random& random = world.random;
  const auto topic = static_cast<TopicIndex>(will_topics + index);
  const Message message{.publisher = by_will,
                        .topic = topic,
                        .qos = static_cast<Qos>(random.below(3)),
                        .retain = world.swarm.has(Feature::retained) && random.chance(200),
                        .untold = true};
  wire->will = world.history.add(message);
  payload = payload_of(wire->will);
  mqtt::Will will{.topic = topics[topic],
                  .payload = as_bytes(payload),
                  .qos = message.qos,
                  .retain = message.retain};
  if (version == mqtt::Version::v5 && world.swarm.has(Feature::will_delay)) {
    wire->will_delay = static_cast<std::uint32_t>(random.below(4));
  }
  will.delay_interval = wire->will_delay;
  packet.will = will;
}

void Client::act() {
  const Swarm& swarm = world.swarm;
  Random& random = world.random;
  if (wire == nullptr) {
    return connect();
  }
  if (told_ && random.below(swarm.publish_weight + 10) >= 10) {
    return act_publish();
  }
  switch (random.below(10)) {
    case 0:
      if (swarm.has(Feature::take_over)) {  // the server learns of it by the next CONNECT
        leave(static_cast<int>(Connection::Departure::silent));
        return connect();
      }
      break;
    case 1:
      return told_ ? act_disconnect() : void();
    case 2:
      if (swarm.has(Feature::resets)) {
        return leave(static_cast<int>(random.chance(500) ? Connection::Departure::reset
                                                         : Connection::Departure::end));
      }
      break;
    case 3:
      if (swarm.has(Feature::half_open)) {
        return leave(static_cast<int>(Connection::Departure::silent));
      }
      break;
    case 4:
      if (swarm.has(Feature::unsubscribe) && told_) {
        return act_unsubscribe();
      }
      break;
    case 5:
      if (swarm.has(Feature::violations) && random.chance(200)) {
        wire->send(std::string(2, '\0'));
        return;
      }
      break;
    default:
      if (told_) {
        act_subscribe();
      }
  }
}

void Client::ping(std::uint32_t serial) {
  if (wire != nullptr && keep_alive_ != 0 && serial == ping_serial_) {
    if (told_ && !calm) {  // later it is cut off and comes back without a keep alive
      write(mqtt::Pingreq{});
    }
    if (!calm) {
      world.schedule(World::Event::ping, keep_alive_ * second / 2, index, ping_serial_);
    }
  }
}

void Client::subscribe_all() {
  constexpr FilterIndex everything = 4;
  subscribe({everything}, Qos::exactly_once);
}

void Client::remove_retained(TopicIndex topic) {
  publish(topic, Qos::at_least_once, true, true);
}

void Client::come_back() {
  calm = true;
  if (wire == nullptr) {
    connect();
  }
  answer();
}

void Client::finish() {
  calm = true;
  mqtt::Disconnect packet;
  if (version == mqtt::Version::v5) {
    packet.session_expiry_interval = 0;
    expiry_ = 0;
    write(packet);
    wire->expiry = 0;
    wire->leave(Connection::Departure::end);
    return end_connection();
  }
  leave(static_cast<int>(Connection::Departure::end));
  finishing_ = true;
  wire = &world.dial(*this);
  clean_ = true;
  expiry_ = 0;
  sure_ = false;
  mqtt::Connect connect{.version = version, .clean_start = true, .client_id = name};
  write(connect);
}

std::string Client::state() const {
  std::string text = name +
                     (wire == nullptr ? " away"
                      : told_         ? " connected"
                                      : " waits") +
                     " open " + std::to_string(open_.size()) + " received " +
                     std::to_string(received_.size()) + " requests " +
                     std::to_string(requests_.size());
  for (const Outgoing& sent : open_) {
    text += " m" + std::to_string(sent.message) + "#" + std::to_string(sent.packet_id) +
            (sent.released ? "r" : "");
  }
  return text;
}

}  // namespace skerry::sim
