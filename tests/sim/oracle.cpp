#include "sim/oracle.hpp"

#include <algorithm>
#include <string>

namespace skerry::sim {
namespace {

using mqtt::Qos;

std::string text_of(MessageNumber number, const Message& message) {
  return "m" + std::to_string(number) + " (" + std::string(topics[message.topic]) + ", QoS " +
         std::to_string(static_cast<int>(message.qos)) + ", of " +
         (message.publisher >= 0         ? "c" + std::to_string(message.publisher)
          : message.publisher == by_will ? "a will"
                                         : "the broker") +
         ")";
}

}  // namespace

// --- delivery ------------------------------------------------------------------------------------

bool Oracle::excused(const Client& client, const Message& message) const {
  const bool denied_topic = message.topic >= denied_topics && message.topic < tapped_topics;
  return message.expiry_seconds != 0 || client.packet_size_max != 0 ||
         (denied_topic && client.ever_denied);
}

// Acknowledged, and surely subscribed to from before it was sent until now.
bool Oracle::owed(const Client& client, MessageNumber number) const {
  const Message& message = world_.history[number];
  if (message.outcome != Outcome::acknowledged || message.qos == Qos::at_most_once ||
      message.untold || message.empty || excused(client, message)) {
    return false;
  }
  return std::any_of(client.interests.begin(), client.interests.end(), [&](const Interest& each) {
    const bool own = each.some_no_local && message.publisher == static_cast<int>(client.index);
    return !is_group(each.filter) && matches(each.filter, message.topic) && !own &&
           each.incarnation == client.incarnation && each.sure_from <= message.sent &&
           each.sure_until == never && each.lowest != Qos::at_most_once;
  });
}

void Oracle::judge_client(const Client& client) {
  std::vector<std::uint32_t> live(world_.history.messages.size());
  std::vector<std::uint32_t> all(world_.history.messages.size());
  for (const Arrival& arrival : client.arrivals) {
    const Message& message = world_.history[arrival.message];
    ++all[arrival.message];
    const bool once = arrival.qos == Qos::exactly_once && !arrival.retain;
    if (once && ++live[arrival.message] > 1 && !message.repeated &&
        !is_group_topic(message.topic)) {
      world_.fail(text_of(arrival.message, message) + " has arrived twice at " + client.name);
    }
  }
  for (MessageNumber number = 1; number < all.size(); ++number) {
    if (all[number] == 0 && owed(client, number)) {
      ++missing_;
      if (first_missing_.empty()) {
        first_missing_ = text_of(number, world_.history[number]) +
                         " was acknowledged and has not arrived at " + client.name;
      }
    }
  }
}

// First arrivals of one publisher's messages, per topic and QoS, come in the order of sending. One
// that tap or storage has refused and whose publisher did not hear so is sent again on its next
// connection, behind later ones that were taken: the server has received it in that order. Of
// one that was sent again the first copy may have been dropped at QoS 0, expired or denied.
void Oracle::judge_order(const Client& client) {
  if (world_.dropped[static_cast<std::size_t>(DropReason::queue_full)] != 0) {
    return;  // what was dropped and is sent again comes late
  }
  struct Line {
    std::int32_t publisher;
    TopicIndex topic;
    Qos published;
    Qos arrived;
    auto operator<=>(const Line&) const = default;
  };
  std::map<Line, MessageNumber> latest;
  std::vector<bool> seen(world_.history.messages.size());
  for (const Arrival& arrival : client.arrivals) {
    const Message& message = world_.history[arrival.message];
    const bool second_copy =
        message.sent_again && (!arrival.surely_kept || excused(client, message));
    const bool counts = !arrival.retain && arrival.surely_wanted && message.publisher >= 0 &&
                        !is_group_topic(message.topic) && !message.refused_once && !second_copy &&
                        message.outcome == Outcome::acknowledged && !seen[arrival.message];
    seen[arrival.message] = true;
    if (!counts) {
      continue;
    }
    MessageNumber& last = latest[{message.publisher, message.topic, message.qos, arrival.qos}];
    if (arrival.message < last) {
      world_.fail(text_of(arrival.message, message) + " has arrived at " + client.name +
                  " behind m" + std::to_string(last) + ", which was sent later");
    }
    last = arrival.message;
  }
}

bool Oracle::group_owed(FilterIndex filter, const Message& message) const {
  if (!matches(filter, message.topic) || message.sent <= world_.history.group_disturbed[filter]) {
    return false;
  }
  bool member = false;
  for (const auto& client : world_.clients) {
    for (const Interest& each : client->interests) {
      if (each.filter != filter || each.incarnation != client->incarnation ||
          each.possible_until != never) {
        continue;
      }
      if (each.lowest == Qos::at_most_once || client->packet_size_max != 0) {
        return false;  // what it is given may be lost
      }
      member = member || (each.sure_from <= message.sent && each.sure_until == never);
    }
  }
  return member;
}

void Oracle::judge_groups() {
  std::vector<std::uint32_t> all(world_.history.messages.size());
  std::vector<std::uint32_t> twice(world_.history.messages.size());
  for (const auto& client : world_.clients) {
    for (const Arrival& arrival : client->arrivals) {
      ++all[arrival.message];
      twice[arrival.message] += arrival.qos == Qos::exactly_once && !arrival.retain ? 1 : 0;
    }
  }
  for (MessageNumber number = 1; number < all.size(); ++number) {
    const Message& message = world_.history[number];
    if (!is_group_topic(message.topic)) {
      continue;
    }
    std::uint32_t owed_count = 0;
    std::uint32_t groups = 0;
    for (FilterIndex filter = group_filters; filter < filter_count; ++filter) {
      groups += matches(filter, message.topic) ? 1 : 0;
      owed_count += group_owed(filter, message) ? 1 : 0;
    }
    if (twice[number] > groups && !message.repeated) {
      world_.fail(text_of(number, message) + " was given to more members than there are groups");
    }
    const bool counts = message.outcome == Outcome::acknowledged && !message.untold &&
                        message.qos != Qos::at_most_once && message.expiry_seconds == 0 &&
                        !message.empty;
    if (counts && all[number] < owed_count) {
      ++missing_;
      if (first_missing_.empty()) {
        first_missing_ = text_of(number, message) + " was acknowledged and has reached " +
                         std::to_string(all[number]) + " members of " + std::to_string(owed_count) +
                         " groups";
      }
    }
  }
}

// What the tap has stored is there when its publisher was told so.
void Oracle::judge_tap() {
  if (!world_.swarm.has(Feature::tap_stores)) {
    return;
  }
  std::vector<bool> stored(world_.history.messages.size());
  const auto rows = world_.machine->store().scan(storage::Family::series_log, {});
  for (rows->seek_first(); rows->valid(); rows->next()) {
    stored[message_in(rows->key())] = true;
  }
  for (MessageNumber number = 1; number < stored.size(); ++number) {
    const Message& message = world_.history[number];
    const bool tapped = message.topic >= tapped_topics && message.topic < forbidden_topic;
    if (tapped && !stored[number] && message.qos != Qos::at_most_once && !message.empty &&
        message.outcome == Outcome::acknowledged && !message.untold) {
      world_.fail(text_of(number, message) + " was acknowledged and the tap's row is not stored");
    }
  }
}

void Oracle::judge() {
  world_.count_drops();
  for (const auto& client : world_.clients) {
    if (!client->probe) {
      judge_client(*client);
      judge_order(*client);
    }
  }
  judge_groups();
  judge_tap();
  const auto count = [this](DropReason reason) {
    return world_.dropped[static_cast<std::size_t>(reason)];
  };
  // Nothing else may take a message that is owed; expired ones and too large ones are not.
  const std::uint64_t drops = count(DropReason::queue_full) + count(DropReason::no_member);
  if (missing_ > drops) {
    world_.fail(first_missing_ + "; " + std::to_string(missing_) + " are missing, " +
                std::to_string(drops) + " were dropped and counted");
  }
}

// --- retained messages ---------------------------------------------------------------------------

// Was it surely replaced or removed by another? Not by a later one at QoS 2 of the same publisher
// when it was sent again itself: at QoS 1 that is a new message [MQTT-4.3.2-5], behind which the
// other is sent again and not taken a second time, so that the server had it last. Nor when tap or
// storage refused it and its publisher did not hear so before the connection ended: then it came
// again, behind the other.
bool Oracle::replaced(MessageNumber number) const {
  const Message& old = world_.history[number];
  for (MessageNumber other = 1; other < world_.history.messages.size(); ++other) {
    const Message& message = world_.history[other];
    if (other == number || message.topic != old.topic || !message.retain ||
        message.outcome != Outcome::acknowledged || message.qos == Qos::at_most_once ||
        message.untold || message.publisher == by_will) {
      continue;
    }
    const bool again = old.resent && old.qos < message.qos;
    const bool same = message.publisher == old.publisher && other > number && !old.repeated &&
                      !old.refused_once && !again;
    const bool after = old.settled != never && old.qos != Qos::at_most_once &&
                       message.sent > old.settled + world_.lag();
    if (same || after) {
      return true;
    }
  }
  return false;
}

void Oracle::judge_topic(TopicIndex topic, MessageNumber shown) const {
  bool may_be_absent = true;
  MessageNumber certain = 0;
  if (shown != 0 && replaced(shown)) {
    world_.fail(text_of(shown, world_.history[shown]) + " is retained and was replaced before");
  }
  for (MessageNumber number = 1; number < world_.history.messages.size(); ++number) {
    const Message& message = world_.history[number];
    if (message.topic != topic || !message.retain || message.untold ||
        message.outcome == Outcome::forbidden) {
      continue;
    }
    if (replaced(number)) {
      continue;
    }
    if (message.empty || message.expiry_seconds != 0) {
      return;  // there may be none
    }
    if (message.outcome == Outcome::acknowledged && message.qos != Qos::at_most_once &&
        message.publisher != by_will) {
      may_be_absent = false;
      certain = number;
    }
  }
  const bool may_drop =
      world_.swarm.has(Feature::small_queue) || world_.swarm.has(Feature::small_output);
  if (shown == 0 && !may_be_absent && !may_drop) {
    world_.fail(text_of(certain, world_.history[certain]) +
                " was acknowledged as retained and is not there");
  }
}

void Oracle::judge_retained() {
  if (!world_.swarm.has(Feature::retained)) {
    return;
  }
  const auto index = static_cast<std::uint32_t>(world_.clients.size());
  if (world_.probe_ == nullptr) {
    world_.clients.push_back(std::make_unique<Client>(world_, index, mqtt::Version::v5));
    world_.probe_ = world_.clients.back().get();
    world_.probe_->probe = true;
  }
  Client& probe = *world_.probe_;
  world_.settle();
  probe.arrivals.clear();
  probe.subscribe_all();
  world_.settle();
  std::vector<MessageNumber> shown(topic_count);
  for (const Arrival& arrival : probe.arrivals) {
    if (!arrival.retain) {
      continue;
    }
    const Message& message = world_.history[arrival.message];
    if (shown[message.topic] != 0 && !arrival.dup) {
      world_.fail("topic " + std::string(topics[message.topic]) + " has two retained messages: m" +
                  std::to_string(shown[message.topic]) + " and m" +
                  std::to_string(arrival.message));
    }
    shown[message.topic] = arrival.message;
  }
  for (TopicIndex topic = 0; topic < topic_count; ++topic) {
    if (!is_group_topic(topic)) {  // the probe does not see those
      judge_topic(topic, shown[topic]);
    }
  }
}

}  // namespace skerry::sim
