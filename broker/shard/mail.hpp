// Mail: what one core tells another. Everything in it is owned by the mail (blocks by their atomic
// count), so it can be handed over without a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/strong_id.hpp"
#include "mqtt/message.hpp"
#include "mqtt/packet.hpp"
#include "session/delivery.hpp"
#include "session/gate.hpp"
#include "storage/status.hpp"

namespace skerry::shard {

using session::GateId;
using session::Stored;
using session::StoredPtr;

/// Options under which one recipient gets a message; also part of the stored record.
struct Recipient {
  DurableId id;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  bool retain = false;  ///< the RETAIN flag to show (retain as published)
  std::vector<std::uint32_t> subscription_identifiers;
};

namespace mail {

/// "My core has (or no longer has) subscribers of `filter`": keeps the map filter → cores.
struct Interest {
  std::string filter;
  bool present = true;
  bool durable = false;  ///< persistent sessions among them: their messages must be stored
  GateId gate;           ///< answered by Done when set
};

/// A message for the subscribers of your core.
struct Publish {
  mqtt::BlockPtr block;
  std::uint64_t publisher = 0;  ///< hash of the client, for No Local
  GateId gate;                  ///< when set: answer Matched with the durable recipients
  bool hold = false;            ///< QoS 2: only say who matches; Release brings the delivery
  StoredPtr stored;             ///< set together with `gate`
};

/// Answer to Publish: the persistent recipients of the answering core.
struct Matched {
  GateId gate;
  std::vector<Recipient> recipients;
};

/// The held message is stored: deliver to `recipients` and to the others who match.
struct Release {
  mqtt::BlockPtr block;
  std::uint64_t publisher = 0;
  StoredPtr stored;
  std::vector<Recipient> recipients;
};

/// A retained message (or its removal, with an empty payload) for the core that keeps the topic.
struct Retain {
  mqtt::BlockPtr block;
  GateId gate;  ///< answered by Done once stored
};

/// A new subscription wants the retained messages of `filter`.
struct RetainedQuery {
  std::string filter;
  std::uint64_t session = 0;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  std::uint32_t subscription_identifier = 0;
};

/// A slice of the answer. Answered by RetainedNext, before which no other comes.
struct RetainedSlice {
  std::string filter;  ///< of the subscription, which may have ended meanwhile
  std::uint64_t session = 0;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  std::uint32_t subscription_identifier = 0;
  std::vector<mqtt::BlockPtr> blocks;
};

/// What became of a slice. Until its session has room, none of this is sent.
struct RetainedNext {
  enum class Wish : std::uint8_t {
    next,   ///< it was taken
    again,  ///< there was no room: the same topics again, as they are by then
    none,   ///< the session has ended, or its subscription
  };
  std::string filter;
  std::uint64_t session = 0;
  Wish wish = Wish::next;
};

/// The operation behind `gate` has ended on the answering core.
struct Done {
  GateId gate;
  storage::StatusCode status = storage::StatusCode::ok;
};

/// Membership in a shared group, told to the group's owner.
struct GroupMember {
  std::string group;
  std::string filter;
  std::uint64_t session = 0;
  DurableId durable;   ///< 0 for a session that ends with its connection
  bool member = true;  ///< false: has left
  bool connected = true;
  mqtt::SubscriptionOptions options;
  std::uint32_t subscription_identifier = 0;
  GateId gate;  ///< answered by Done when set
};

/// A message of a shared group for the member that the owner picked.
struct GroupDeliver {
  std::uint64_t session = 0;
  Recipient recipient;  ///< `id` is the group's number
  mqtt::BlockPtr block;
  StoredPtr stored;
  std::uint8_t refusals = 0;  ///< members that had no room, since it last left the group's queue
};

/// The member could not take it any more: pick another.
struct GroupReturn {
  DurableId group;
  std::uint64_t session = 0;
  mqtt::BlockPtr block;
  StoredPtr stored;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  std::uint8_t refusals = 0;  ///< 0: the member had taken it and leaves
};

/// What is stored here has been told: everything that is subscribed on this core is known to you.
struct Started {};

}  // namespace mail

using Mail = std::variant<mail::Interest, mail::Publish, mail::Matched, mail::Release, mail::Retain,
                          mail::RetainedQuery, mail::RetainedSlice, mail::RetainedNext, mail::Done,
                          mail::GroupMember, mail::GroupDeliver, mail::GroupReturn, mail::Started>;

struct MailBatch {
  std::vector<Mail> items;
  std::size_t size_bytes = 0;  ///< payloads included, for the mailbox cap
};

}  // namespace skerry::shard
