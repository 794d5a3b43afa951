#include "shard/records.hpp"

#include <utility>

#include "base/byte_order.hpp"

namespace skerry::shard {
namespace {

constexpr char record_version = 1;
/// Of a session; the first did not say by what credentials it was opened, the second knew neither
/// named policies nor credentials other than certificates.
constexpr char session_version_with_credentials = 2;
constexpr char session_version = 3;
constexpr char type_session = 0;
constexpr char type_group = 1;

void append_text(std::string& out, std::string_view text) {
  append_big_endian(out, static_cast<std::uint16_t>(text.size()));
  out.append(text);
}

/// Reads fields from the front of a record and remembers whether it was too short.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  template <typename Integer>
  Integer integer() {
    if (in_.size() < sizeof(Integer)) {
      damaged_ = true;
      in_ = {};
      return {};
    }
    const auto value = read_big_endian<Integer>(in_);
    in_.remove_prefix(sizeof(Integer));
    return value;
  }

  std::string_view text() {
    const auto size = integer<std::uint16_t>();
    if (in_.size() < size) {
      damaged_ = true;
      in_ = {};
      return {};
    }
    const std::string_view value = in_.substr(0, size);
    in_.remove_prefix(size);
    return value;
  }

  mqtt::BlockPtr block() {
    mqtt::BlockPtr value = mqtt::decode_record(in_);
    damaged_ = damaged_ || !value;
    return value;
  }

  bool damaged() const noexcept { return damaged_; }
  std::size_t left() const noexcept { return in_.size(); }

 private:
  std::string_view in_;
  bool damaged_ = false;
};

void append_recipient(std::string& out, const Recipient& recipient) {
  append_big_endian(out, recipient.id.value);
  out.push_back(static_cast<char>(static_cast<int>(recipient.qos) | (recipient.retain ? 0x80 : 0)));
  append_big_endian(out, static_cast<std::uint16_t>(recipient.subscription_identifiers.size()));
  for (const std::uint32_t identifier : recipient.subscription_identifiers) {
    append_big_endian(out, identifier);
  }
}

bool read_recipient(Reader& in, Recipient& recipient) {
  recipient.id = DurableId{in.integer<std::uint64_t>()};
  const auto flags = in.integer<std::uint8_t>();
  recipient.retain = (flags & 0x80) != 0;
  recipient.qos = static_cast<mqtt::Qos>(flags & 0x03);
  const auto identifiers = in.integer<std::uint16_t>();
  for (std::uint16_t i = 0; i < identifiers && !in.damaged(); ++i) {
    recipient.subscription_identifiers.push_back(in.integer<std::uint32_t>());
  }
  return !in.damaged() && (flags & 0x03) != 3;
}

}  // namespace

std::string encode_session(const SessionRecord& record) {
  std::string out{session_version, type_session};
  out.push_back(static_cast<char>(record.identity.kind));
  out.push_back(static_cast<char>(record.identity.policy));
  append_text(out, record.identity.name);
  append_text(out, record.client_id);
  append_big_endian(out, record.expiry_seconds);
  out.push_back(record.connected ? 1 : 0);
  append_big_endian(out, epoch_milliseconds(record.disconnected_at));
  append_text(out, record.identity.certificate_serial);
  append_text(out, record.identity.key_fingerprint);
  append_big_endian(out, epoch_milliseconds(record.identity.not_after));
  append_text(out, record.identity.policy_name);
  out.push_back(static_cast<char>(record.identity.proof));
  append_text(out, record.identity.proof_id);
  out.push_back(record.will ? 1 : 0);
  if (record.will) {
    append_big_endian(out, record.will_delay_seconds);
    append_big_endian(out, record.will_expiry_seconds);
    mqtt::encode_record(*record.will, out);
  }
  return out;
}

std::optional<SessionRecord> decode_session(std::string_view value) {
  Reader in(value);
  SessionRecord record;
  const auto version = in.integer<std::uint8_t>();
  const auto type = in.integer<std::uint8_t>();
  const auto kind = in.integer<std::uint8_t>();
  const auto policy = in.integer<std::uint8_t>();
  record.identity.name = in.text();
  record.client_id = in.text();
  record.expiry_seconds = in.integer<std::uint32_t>();
  record.connected = in.integer<std::uint8_t>() != 0;
  record.disconnected_at = wall_from_epoch(in.integer<std::int64_t>());
  std::uint8_t proof = 0;
  if (version >= session_version_with_credentials) {
    record.identity.certificate_serial = in.text();
    record.identity.key_fingerprint = in.text();
    record.identity.not_after = wall_from_epoch(in.integer<std::int64_t>());
  }
  if (version >= session_version) {
    record.identity.policy_name = in.text();
    proof = in.integer<std::uint8_t>();
    record.identity.proof_id = in.text();
  }
  if (in.integer<std::uint8_t>() != 0) {
    record.will_delay_seconds = in.integer<std::uint32_t>();
    record.will_expiry_seconds = in.integer<std::uint32_t>();
    record.will = in.block();
  }
  const bool known = version >= record_version && version <= session_version &&
                     type == type_session && kind <= static_cast<int>(plugin::IdentityKind::user) &&
                     policy <= static_cast<int>(plugin::PolicyKind::named) &&
                     proof <= static_cast<int>(plugin::Proof::token);
  if (in.damaged() || !known) {
    return std::nullopt;
  }
  record.identity.kind = static_cast<plugin::IdentityKind>(kind);
  record.identity.policy = static_cast<plugin::PolicyKind>(policy);
  record.identity.proof = static_cast<plugin::Proof>(proof);
  return record;
}

bool is_group_record(std::string_view value) noexcept {
  return value.size() >= 2 && value[1] == type_group;
}

std::string encode_group(const GroupRecord& record) {
  std::string out{record_version, type_group};
  append_text(out, record.group);
  append_text(out, record.filter);
  return out;
}

std::optional<GroupRecord> decode_group(std::string_view value) {
  Reader in(value);
  const auto version = in.integer<std::uint8_t>();
  const auto type = in.integer<std::uint8_t>();
  GroupRecord record;
  record.group = in.text();
  record.filter = in.text();
  if (in.damaged() || version != record_version || type != type_group) {
    return std::nullopt;
  }
  return record;
}

std::string encode_subscription(const session::Subscription& subscription) {
  const mqtt::SubscriptionOptions& options = subscription.options;
  const int flags = static_cast<int>(options.maximum_qos) | (options.no_local ? 0x04 : 0) |
                    (options.retain_as_published ? 0x08 : 0) | (options.retain_handling << 4);
  std::string out{record_version, static_cast<char>(flags)};
  append_big_endian(out, subscription.identifier);
  return out;
}

bool decode_subscription(std::string_view value, session::Subscription& subscription) {
  Reader in(value);
  const auto version = in.integer<std::uint8_t>();
  const auto flags = in.integer<std::uint8_t>();
  subscription.identifier = in.integer<std::uint32_t>();
  subscription.options.maximum_qos = static_cast<mqtt::Qos>(flags & 0x03);
  subscription.options.no_local = (flags & 0x04) != 0;
  subscription.options.retain_as_published = (flags & 0x08) != 0;
  subscription.options.retain_handling = static_cast<std::uint8_t>((flags >> 4) & 0x03);
  return !in.damaged() && version == record_version && (flags & 0x03) != 3;
}

std::string encode_message_record(const Publication& publication) {
  std::string out{record_version};
  append_big_endian(out, static_cast<std::uint32_t>(publication.targets.size()));
  for (const Publication::Target& target : publication.targets) {
    append_recipient(out, target.recipient);
  }
  mqtt::encode_record(*publication.block, out);
  return out;
}

std::string encode_message_record(const Recipient& recipient, const mqtt::MessageBlock& block) {
  std::string out{record_version};
  append_big_endian(out, std::uint32_t{1});
  append_recipient(out, recipient);
  mqtt::encode_record(block, out);
  return out;
}

std::optional<MessageRecord> decode_message_record(std::string_view value) {
  Reader in(value);
  const auto version = in.integer<std::uint8_t>();
  const auto count = in.integer<std::uint32_t>();
  MessageRecord record;
  for (std::uint32_t i = 0; i < count && !in.damaged(); ++i) {
    if (!read_recipient(in, record.recipients.emplace_back())) {
      return std::nullopt;
    }
  }
  if (in.damaged() || version != record_version) {
    return std::nullopt;
  }
  record.block = in.block();
  if (!record.block) {
    return std::nullopt;
  }
  return record;
}

std::string encode_outbound(OutboundState state, MessageId message, DurableId recipient) {
  std::string out{record_version, static_cast<char>(state)};
  append_big_endian(out, message.value);
  append_big_endian(out, recipient.value);
  return out;
}

std::optional<Outbound> decode_outbound(std::string_view value) {
  Reader in(value);
  const auto version = in.integer<std::uint8_t>();
  const auto state = in.integer<std::uint8_t>();
  const MessageId message{in.integer<std::uint64_t>()};
  const DurableId recipient{in.integer<std::uint64_t>()};
  if (in.damaged() || version != record_version || state < 1 || state > 2) {
    return std::nullopt;
  }
  return Outbound{static_cast<OutboundState>(state), message, recipient};
}

std::string durable_key(DurableId id) {
  std::string key;
  append_big_endian(key, id.value);
  return key;
}

std::string subscription_key(DurableId id, std::string_view filter) {
  return durable_key(id).append(filter);
}

std::string message_key(MessageId id) {
  std::string key;
  append_big_endian(key, id.value);
  return key;
}

std::string ack_key(MessageId message, DurableId recipient) {
  std::string key = message_key(message);
  append_big_endian(key, recipient.value);
  return key;
}

std::string inbound_key(DurableId id, mqtt::PacketId packet_id) {
  std::string key = durable_key(id);
  key.push_back('i');
  append_big_endian(key, packet_id.value);
  return key;
}

std::string outbound_key(DurableId id, mqtt::PacketId packet_id) {
  std::string key = durable_key(id);
  key.push_back('o');
  append_big_endian(key, packet_id.value);
  return key;
}

}  // namespace skerry::shard
