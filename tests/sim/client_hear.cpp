// What a client hears, and what it checks of it at once.
#include <algorithm>
#include <utility>

#include "sim/client.hpp"
#include "sim/describe.hpp"
#include "sim/world.hpp"

namespace skerry::sim {

using mqtt::Qos;

void Client::receive(Connection& from, std::string_view bytes) {
  if (&from != wire) {
    return;
  }
  decoder_.feed(as_bytes(bytes));
  for (;;) {
    const auto next = decoder_.next();
    if (next.has_error()) {
      fail("the server wrote what is not MQTT");
    }
    if (!next->has_value()) {
      return;
    }
    const auto packet = mqtt::decode(**next, version, mqtt::Sender::server);
    if (!packet) {
      fail(std::string("the server wrote a packet that is none: ") + packet.error().what);
    }
    hear(*packet, (*next)->whole.size());
    if (&from != wire) {
      return;
    }
  }
}

void Client::closed(Connection& which) {
  if (&which == wire) {
    end_connection();
  }
}

void Client::hear(const mqtt::Packet& packet, std::size_t bytes) {
  if (world.traced()) {
    world.line(name + " hears " + describe(packet));
  }
  if (farewell_) {
    fail("a packet behind DISCONNECT");
  }
  if (packet_size_now_ != 0 && bytes > packet_size_now_) {
    fail("a packet larger than its Maximum Packet Size");
  }
  const auto* connack = std::get_if<mqtt::Connack>(&packet);
  if (told_ == (connack != nullptr)) {
    fail(told_ ? "a second CONNACK" : "a packet before CONNACK");
  }
  if (connack != nullptr) {
    hear_connack(*connack);
  } else if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
    hear_publish(*publish);
  } else if (const auto* puback = std::get_if<mqtt::Puback>(&packet)) {
    hear_acknowledgement(puback->packet_id.value, Qos::at_least_once, puback->reason);
  } else if (const auto* pubrec = std::get_if<mqtt::Pubrec>(&packet)) {
    hear_acknowledgement(pubrec->packet_id.value, Qos::exactly_once, pubrec->reason);
  } else if (const auto* pubcomp = std::get_if<mqtt::Pubcomp>(&packet)) {
    hear_pubcomp(pubcomp->packet_id.value);
  } else if (const auto* pubrel = std::get_if<mqtt::Pubrel>(&packet)) {
    reply(mqtt::Pubcomp{pubrel->packet_id, {}, {}, {}});
  } else if (const auto* suback = std::get_if<mqtt::Suback>(&packet)) {
    hear_suback(*suback);
  } else if (const auto* unsuback = std::get_if<mqtt::Unsuback>(&packet)) {
    hear_unsuback(*unsuback);
  } else if (std::holds_alternative<mqtt::Disconnect>(packet)) {
    farewell_ = true;
  }
}

void Client::hear_connack(const mqtt::Connack& connack) {
  if (connack.reason != mqtt::Reason::success) {
    farewell_ = true;
    told_ = true;
    return;
  }
  told_ = true;
  must_clean_ = wire->opened_at < overtaken_at_;
  world.history[wire->will].untold = false;  // section 3.1.2.5: if the CONNECT is accepted
  if (finishing_) {
    write(mqtt::Disconnect{});
    wire->leave(Connection::Departure::end);
    return end_connection();
  }
  server_window_ = connack.receive_maximum.value_or(65'535);
  server_aliases_ = connack.topic_alias_maximum.value_or(0);
  expiry_ = connack.session_expiry_interval.value_or(expiry_);
  check_present(connack.session_present);
  if (!connack.session_present) {
    for (const Interest& interest : interests) {
      if (is_group(interest.filter)) {  // until now the server may have given its session messages
        world.history.group_disturbed[interest.filter] = world.now();
      }
    }
    session_lost();
  }
  const bool resumed = connack.session_present;
  sure_expiry_ = resumed ? std::min(sure_expiry_, expiry_) : expiry_;
  longest_expiry_ = resumed ? std::max(longest_expiry_, expiry_) : expiry_;
  sure_ = sure_expiry_ != 0 && wire->closed_at == never && !world.rights.ended(index);
  sure_until_ = never;
  for (const Outgoing& sent : open_) {
    if (sent.released) {
      write(mqtt::Pubrel{{sent.packet_id}, {}, {}, {}});
    } else {
      world.history[sent.message].sent_again = true;
      world.history[sent.message].resent = true;
      write_publish(sent, resumed);
    }
  }
}

void Client::check_present(bool present) {
  const Time opened = wire->opened_at;
  const Time gone_after = std::exchange(gone_after_, never);
  if (present && clean_) {
    fail("a session that was to begin anew is said to be present");
  }
  if (!present && !clean_ && sure_) {
    fail("its session was lost");
  }
  if (present && gone_after != never && opened > gone_after + 2 * second) {
    fail("a session is present that had expired");
  }
}

void Client::session_lost() {
  ++incarnation;
  received_.clear();
  disturb_groups();
  for (Interest& interest : interests) {
    interest.sure_until = std::min(interest.sure_until, world.now());
    interest.possible_until = std::min(interest.possible_until, world.now());
  }
  for (auto sent = open_.begin(); sent != open_.end();) {
    // The server had the message when it answered PUBREC; what it had not comes as a new one.
    world.history[sent->message].repeated = true;
    sent = sent->released ? open_.erase(sent) : std::next(sent);
  }
}

void Client::session_disturbed() {
  sure_ = false;
  disturb_groups();
  for (Interest& interest : interests) {
    interest.sure_until = std::min(interest.sure_until, world.now());
  }
}

void Client::topics_disturbed() {
  for (Interest& interest : interests) {
    if (filters[interest.filter].starts_with("p/")) {
      interest.sure_until = std::min(interest.sure_until, world.now());
    }
  }
}

// When it came too late, the session may have begun anew (section 3.1.2.11.2: it ends when its
// expiry interval has passed), and a client that does not hear so must not take up what it had.
// And when that was a CONNECT of an earlier connection, it has taken the session over or thrown it
// away, of which the client hears no more than that its connection ends.
void Client::server_opened(const Connection& connection) {
  if (&connection != wire) {
    overtaken_at_ = world.now();
    session_disturbed();
  }
  if (world.now() > sure_until_ - 2 * millisecond) {
    sure_ = false;
  }
  must_clean_ = must_clean_ || !sure_;
  sure_until_ = never;
  if (world.now() <= gone_after_) {
    gone_after_ = never;
  }
}

void Client::answered(std::uint16_t packet_id, mqtt::Reason reason) {
  for (const Outgoing& sent : open_) {
    if (sent.packet_id == packet_id && mqtt::is_error(reason)) {
      world.history[sent.message].refused_once = true;
    }
  }
}

void Client::server_let_go(const Connection& connection) {
  sure_until_ = world.now() + std::int64_t{sure_expiry_} * second;
  gone_after_ = world.now() + std::int64_t{std::max(longest_expiry_, connection.expiry)} * second;
}

void Client::server_restarted(Time now) {
  if (sure_until_ == never) {  // it was connected, and was cut off just now
    sure_until_ = now + std::int64_t{sure_expiry_} * second;
  }
  gone_after_ = now + std::int64_t{longest_expiry_} * second;
}

bool Client::accept_id(const mqtt::Publish& publish) {
  const std::uint16_t id = publish.packet_id.value;
  const bool known = received_.contains(id);
  if (!publish.dup && (known || unanswered_.contains(id))) {
    fail("packet id " + std::to_string(id) + " is given to a second message");
  }
  unanswered_.insert(id);
  if (unanswered_.size() > window_) {
    fail("more is in flight than its Receive Maximum");
  }
  if (publish.qos == Qos::exactly_once) {
    received_.insert(id);
    return !known;
  }
  return true;
}

void Client::hear_publish(mqtt::Publish publish) {
  if (publish.topic_alias) {
    std::string& topic = aliases_[*publish.topic_alias];
    if (!publish.topic.empty()) {
      topic = publish.topic;
    }
    if (topic.empty()) {
      fail("a topic alias that was never set");
    }
    publish.topic = topic;
  }
  if (publish.qos == Qos::at_most_once) {
    if (publish.dup) {
      fail("DUP at QoS 0");
    }
    return arrive(publish);
  }
  const mqtt::PacketId id = publish.packet_id;
  if (accept_id(publish)) {
    arrive(publish);
  }
  if (publish.qos == Qos::at_least_once) {
    reply(mqtt::Puback{id, {}, {}, {}});
  } else {
    reply(mqtt::Pubrec{id, {}, {}, {}});
  }
}

void Client::arrive(const mqtt::Publish& publish) {
  const TopicIndex topic = topic_of(publish.topic);
  if (topic == topic_count) {
    fail("a message of a topic that nobody has published: " + std::string(publish.topic));
  }
  const MessageNumber number = message_in(as_text(publish.payload));
  if (publish.payload.empty()) {
    return;  // the end of a retained message carries no number
  }
  if (number == 0 || number >= world.history.messages.size() ||
      world.history[number].topic != topic || as_text(publish.payload) != payload_of(number)) {
    fail("a message that nobody has published: " + std::string(as_text(publish.payload)));
  }
  const Arrival arrival{.message = number,
                        .qos = publish.qos,
                        .retain = publish.retain,
                        .dup = publish.dup,
                        .at = world.now()};
  arrivals.push_back(arrival);
  for (const Interest& interest : interests) {
    const bool own = interest.some_no_local &&
                     world.history[number].publisher == static_cast<std::int32_t>(index);
    if (interest.incarnation == incarnation && matches(interest.filter, topic) && !own &&
        interest.sure_from <= world.history[number].sent) {
      arrivals.back().surely_wanted = true;
      arrivals.back().surely_kept |= interest.lowest != Qos::at_most_once;
    }
  }
  check_arrival(world.history[number], arrival, publish);
}

void Client::check_arrival(const Message& message, const Arrival& arrival,
                           const mqtt::Publish& publish) {
  const std::string what = "m" + std::to_string(arrival.message);
  if (message.outcome == Outcome::forbidden) {
    fail(what + " must not be published, and has arrived");
  }
  if (arrival.retain && !message.retain) {
    fail(what + " is shown as retained and was not published so");
  }
  if (arrival.qos > message.qos) {
    fail(what + " arrives at a higher QoS than it was published with");
  }
  // Of one that was published again the first copy may still be under way.
  // Of two copies the answer tells of the later one; the earlier may still wait for storage.
  const Time routed_until = message.settled == never || message.repeated ||
                                    message.qos == Qos::at_most_once || message.publisher < 0
                                ? never
                                : message.settled + world.lag();
  bool matched = false;
  bool foreign = message.publisher != static_cast<std::int32_t>(index) || arrival.retain;
  for (const Interest& interest : interests) {
    if (interest.incarnation != incarnation || !matches(interest.filter, message.topic)) {
      continue;
    }
    // What waited for a group goes to whoever joins it.
    const bool lives =
        is_group(interest.filter) || (message.sent <= interest.possible_until &&
                                      (arrival.retain || interest.possible_from <= routed_until));
    matched = matched || lives;
    foreign = foreign || interest.some_local;
  }
  if (!matched) {
    fail(what + " (" + std::string(publish.topic) + ") matches nothing it is subscribed to");
  }
  if (!foreign) {
    fail(what + " is its own and came back in spite of No Local");
  }
  for (const std::uint32_t id : publish.subscription_identifiers) {
    if (id == 0 || id > filter_count || !matches(static_cast<FilterIndex>(id - 1), message.topic)) {
      fail(what + " carries the identifier of a subscription that does not match");
    }
  }
  const auto left = publish.properties.message_expiry_interval;
  if (version == mqtt::Version::v5 && (message.expiry_seconds != 0) != left.has_value()) {
    fail(what + " has lost its Message Expiry Interval, or got one");
  }
  if (left && *left > message.expiry_seconds) {
    fail(what + " has more life than it was given");
  }
  check_rights(message, arrival);
}

void Client::check_rights(const Message& message, const Arrival& arrival) {
  const std::string what = "m" + std::to_string(arrival.message);
  if (message.sent > denied_since) {
    fail(what + " was published after its rights had ended");
  }
  const bool denied_topic = message.topic >= denied_topics && message.topic < tapped_topics;
  if (denied_topic && message.sent > topics_denied_since) {
    fail(what + " was published after its right to receive it had ended");
  }
  // What waited for the client must have been judged when this connection began.
  const Time end = message.expiry_seconds == 0 || message.settled == never
                       ? never
                       : message.settled + message.expiry_seconds * second;
  if (!arrival.dup && message.qos != Qos::at_most_once && !message.repeated &&
      end < wire->opened_at - second) {
    fail(what + " had expired before the connection began");
  }
}

// Is an answer still to come that says more of this interest?
bool Client::asked_again(std::size_t interest, bool by_subscribe) const {
  return std::any_of(requests_.begin(), requests_.end(), [&](const Request& other) {
    return other.subscribe == by_subscribe &&
           std::find(other.interests.begin(), other.interests.end(), interest) !=
               other.interests.end();
  });
}

// Answers come in the order of the requests, so that an UNSUBSCRIBE which is not answered yet came
// behind this SUBSCRIBE, and so did another SUBSCRIBE. What is subscribed while rights are being
// taken away goes with them when their core gets to it.
void Client::hear_suback(const mqtt::Suback& suback) {
  const auto request = std::find_if(requests_.begin(), requests_.end(), [&](const Request& each) {
    return each.subscribe && each.packet_id == suback.packet_id.value;
  });
  if (request == requests_.end() || request->interests.size() != suback.reasons.size()) {
    fail("a SUBACK that does not fit its SUBSCRIBE");
  }
  const std::vector<std::size_t> places = std::move(request->interests);
  requests_.erase(request);
  for (std::size_t i = 0; i < suback.reasons.size(); ++i) {
    Interest& interest = interests[places[i]];
    const bool granted = !mqtt::is_error(suback.reasons[i]);
    if (interest.possible_until != never ||
        (granted && world.rights.ended(index, interest.filter))) {
      continue;
    }
    if (granted && asked_again(places[i], false)) {  // it may be gone already
      interest.sure_from = std::min(interest.sure_from, world.now());
    } else if (granted) {
      const bool was_sure = interest.sure_from != never && interest.sure_until == never;
      interest.sure_from = was_sure ? interest.sure_from : world.now();
      interest.sure_until = never;
    } else if (interest.sure_from == never && !asked_again(places[i], true)) {
      interest.possible_until = world.now();
    } else {
      interest.sure_until = std::min(interest.sure_until, world.now());
    }
  }
}

void Client::hear_unsuback(const mqtt::Unsuback& unsuback) {
  const auto request = std::find_if(requests_.begin(), requests_.end(), [&](const Request& each) {
    return !each.subscribe && each.packet_id == unsuback.packet_id.value;
  });
  if (request == requests_.end()) {
    fail("an UNSUBACK that nobody asked for");
  }
  for (const std::size_t place : request->interests) {
    if (!asked_again(place, true) && interests[place].sure_until != never) {
      interests[place].possible_until = std::min(interests[place].possible_until, world.now());
    }
  }
  requests_.erase(request);
}

void Client::settle_open(std::uint16_t id, Outcome outcome) {
  const auto sent = std::find_if(open_.begin(), open_.end(),
                                 [id](const Outgoing& each) { return each.packet_id == id; });
  world.history.settle(sent->message, outcome, world.now());
  open_.erase(sent);
}

void Client::hear_acknowledgement(std::uint16_t id, Qos qos, mqtt::Reason reason) {
  const auto sent = std::find_if(open_.begin(), open_.end(),
                                 [id](const Outgoing& each) { return each.packet_id == id; });
  if (sent == open_.end() || sent->qos != qos) {
    fail("packet id " + std::to_string(id) + " is acknowledged and is not in use");
  }
  if (mqtt::is_error(reason)) {
    return settle_open(id, Outcome::refused);
  }
  if (qos == Qos::at_least_once) {
    return settle_open(id, Outcome::acknowledged);
  }
  world.history.settle(sent->message, Outcome::acknowledged, world.now());
  sent->released = true;
  write(mqtt::Pubrel{{id}, {}, {}, {}});
}

void Client::hear_pubcomp(std::uint16_t id) {
  const auto sent = std::find_if(open_.begin(), open_.end(),
                                 [id](const Outgoing& each) { return each.packet_id == id; });
  if (sent == open_.end() || !sent->released) {
    fail("packet id " + std::to_string(id) + " is completed and was not released");
  }
  open_.erase(sent);
}

void Client::reply(mqtt::Packet packet) {
  to_answer_.push_back(std::move(packet));
  if (calm || !world.swarm.has(Feature::slow_answers)) {
    answer();
  } else if (to_answer_.size() == 1) {
    world.schedule(World::Event::answer, world.random.between(0, 4 * world.swarm.pause_max), index);
  }
}

void Client::answer() {
  while (wire != nullptr && told_ && !to_answer_.empty()) {
    const mqtt::Packet packet = std::move(to_answer_.front());
    to_answer_.pop_front();
    if (const auto* puback = std::get_if<mqtt::Puback>(&packet)) {
      unanswered_.erase(puback->packet_id.value);
    } else if (const auto* pubcomp = std::get_if<mqtt::Pubcomp>(&packet)) {
      unanswered_.erase(pubcomp->packet_id.value);
      received_.erase(pubcomp->packet_id.value);
    }
    write(packet);
  }
}

}  // namespace skerry::sim
