// Records: how sessions, subscriptions, messages and QoS 2 state look on disk. Every value begins
// with a version byte; numbers are big-endian so that keys sort as they count. No core number
// occurs anywhere: the number of cores may change between two starts.
//
//   sessions       durable id (8)                        → SessionRecord or GroupRecord
//   subscriptions  durable id (8), filter                → options (1), identifier (4)
//   messages       message id (8)                        → recipients, message block
//   acks           message id (8), durable id (8)        → nothing: this recipient is done
//   inflight       durable id (8), 'i', packet id (2)    → nothing: received, not released
//   inflight       durable id (8), 'o', packet id (2)    → state (1), message id (8), recipient
//   (8):
//                                                          the session itself or a shared group
//   retained       topic                                 → message block
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "mqtt/message.hpp"
#include "plugin/identity.hpp"
#include "session/session.hpp"
#include "shard/gates.hpp"

namespace skerry::shard {

struct SessionRecord {
  plugin::Identity identity;  ///< without credentials in records of the first version
  std::string client_id;
  std::uint32_t expiry_seconds = 0;
  bool connected = false;  ///< at the time of writing: after a crash it is cut off "now"
  WallTime disconnected_at{};
  mqtt::BlockPtr will;  ///< may be null
  std::uint32_t will_delay_seconds = 0;
  std::uint32_t will_expiry_seconds = 0;
};

struct GroupRecord {
  std::string group;
  std::string filter;
};

struct MessageRecord {
  std::vector<Recipient> recipients;
  mqtt::BlockPtr block;
};

enum class OutboundState : std::uint8_t { sent = 1, released = 2 };

std::string encode_session(const SessionRecord& record);
std::string encode_group(const GroupRecord& record);
std::string encode_subscription(const session::Subscription& subscription);
std::string encode_message_record(const Publication& publication);
std::string encode_message_record(const Recipient& recipient, const mqtt::MessageBlock& block);
std::string encode_outbound(OutboundState state, MessageId message, DurableId recipient);

// Decoders give nothing for a damaged record and read nothing outside it.
std::optional<SessionRecord> decode_session(std::string_view value);
std::optional<GroupRecord> decode_group(std::string_view value);
bool is_group_record(std::string_view value) noexcept;
bool decode_subscription(std::string_view value, session::Subscription& subscription);
std::optional<MessageRecord> decode_message_record(std::string_view value);
struct Outbound {
  OutboundState state;
  MessageId message;
  DurableId recipient;
};
std::optional<Outbound> decode_outbound(std::string_view value);

std::string durable_key(DurableId id);
std::string subscription_key(DurableId id, std::string_view filter);
std::string message_key(MessageId id);
std::string ack_key(MessageId message, DurableId recipient);
std::string inbound_key(DurableId id, mqtt::PacketId packet_id);
std::string outbound_key(DurableId id, mqtt::PacketId packet_id);

}  // namespace skerry::shard
