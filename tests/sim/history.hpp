// History: what was published, what came of it, and who was subscribed when, as far as clients can
// know. The oracle judges from it alone.
//
// What a client knows of its subscription has four edges: from when it may be in force (SUBSCRIBE
// was sent), from when it surely is (SUBACK came), until when it surely was (UNSUBSCRIBE was sent)
// and until when it may have been (UNSUBACK came, or the session was lost).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "mqtt/packet.hpp"
#include "sim/places.hpp"
#include "sim/random.hpp"

namespace skerry::sim {

using MessageNumber = std::uint32_t;  ///< 1 …; 0 is none

inline constexpr std::int32_t by_broker = -1;
inline constexpr std::int32_t by_will = -2;

enum class Outcome : std::uint8_t {
  open,          ///< nobody has heard what became of it
  acknowledged,  ///< PUBACK or PUBREC without an error, or for QoS 0 nothing
  refused,
  lost,       ///< it may have been lost before the server answered
  forbidden,  ///< must not arrive anywhere
};

struct Message {
  std::int32_t publisher = 0;  ///< index of the client, by_broker or by_will
  TopicIndex topic = 0;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  bool retain = false;
  bool empty = false;  ///< removes the retained message of its topic
  Outcome outcome = Outcome::open;
  bool repeated = false;  ///< published a second time, since its publisher's session was lost
  bool fleeting = false;  ///< a will that no session keeps on disk until it is published
  bool resent = false;    ///< sent a second time, since nobody had answered
  /// Its publisher cannot know what becomes of it: of those who say no nobody tells it (3.1.1), or
  /// the CONNECT that brought the will was not answered.
  bool untold = false;
  bool sent_again = false;           ///< on a later connection of its publisher
  bool refused_once = false;         ///< by tap or storage; it may have come again later
  std::uint32_t expiry_seconds = 0;  ///< 0: none
  Time sent = never;
  Time settled = never;  ///< when the outcome was known
};

struct Arrival {
  MessageNumber message = 0;
  mqtt::Qos qos = mqtt::Qos::at_most_once;  ///< as it was shown
  bool retain = false;
  bool dup = false;
  Time at = 0;
  bool surely_wanted = false;  ///< subscribed to before it was sent
  bool surely_kept = false;    ///< … and never at QoS 0, so that each copy must have arrived
};

struct Interest {
  FilterIndex filter = 0;
  std::uint32_t incarnation = 0;  ///< of the client's session
  Time possible_from = 0;
  Time sure_from = never;
  Time sure_until = never;
  Time possible_until = never;
  mqtt::Qos lowest = mqtt::Qos::exactly_once;  ///< of all options it ever had
  bool some_local = false;                     ///< without No Local at one time
  bool some_no_local = false;
  bool as_published = false;  ///< Retain As Published at one time
  bool identifier = false;    ///< with a subscription identifier at one time
};

/// A retained message that somebody who has just subscribed was shown.
struct History {
  History() { messages.emplace_back(); }

  MessageNumber add(const Message& message) {
    messages.push_back(message);
    return static_cast<MessageNumber>(messages.size() - 1);
  }
  Message& operator[](MessageNumber number) { return messages[number]; }
  const Message& operator[](MessageNumber number) const { return messages[number]; }
  void settle(MessageNumber number, Outcome outcome, Time now) {
    Message& message = messages[number];
    if (message.outcome == Outcome::open) {
      message.outcome = outcome;
      message.settled = now;
    }
  }

  std::vector<Message> messages;
  /// Of each shared filter: the last time that a member may have left it.
  Time group_disturbed[filter_count] = {};
};

}  // namespace skerry::sim
