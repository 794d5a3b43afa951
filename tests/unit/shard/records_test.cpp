// Records of sessions: the credentials that opened one come back, and the first version still
// reads.
#include "shard/records.hpp"

#include <doctest/doctest.h>

#include "base/byte_order.hpp"

using namespace skerry;
using namespace skerry::shard;

namespace {

SessionRecord full_record() {
  SessionRecord record;
  record.identity.kind = plugin::IdentityKind::device;
  record.identity.policy = plugin::PolicyKind::device;
  record.identity.name = "pump-7";
  record.identity.certificate_serial = "0a1b";
  record.identity.key_fingerprint = std::string(64, 'f');
  record.identity.not_after = wall_from_epoch(1'700'000'000'123);
  record.identity.policy = plugin::PolicyKind::named;
  record.identity.policy_name = "line-3";
  record.identity.proof = plugin::Proof::password;
  record.identity.proof_id = "which";
  record.client_id = "client";
  record.expiry_seconds = 3600;
  record.connected = true;
  record.disconnected_at = wall_from_epoch(42);
  mqtt::Publish will;
  will.topic = "devices/pump-7/events/bye";
  record.will = mqtt::make_block(will, WallTime{});
  record.will_delay_seconds = 5;
  return record;
}

void append_text(std::string& out, std::string_view text) {
  append_big_endian(out, static_cast<std::uint16_t>(text.size()));
  out.append(text);
}

}  // namespace

TEST_CASE("a session's record remembers what opened it") {
  const SessionRecord record = full_record();
  const auto read = decode_session(encode_session(record));
  REQUIRE(read.has_value());
  CHECK(read->identity.name == "pump-7");
  CHECK(read->identity.certificate_serial == record.identity.certificate_serial);
  CHECK(read->identity.key_fingerprint == record.identity.key_fingerprint);
  CHECK(read->identity.not_after == record.identity.not_after);
  CHECK(read->identity.policy == plugin::PolicyKind::named);
  CHECK(read->identity.policy_name == "line-3");
  CHECK(read->identity.proof == plugin::Proof::password);
  CHECK(read->identity.proof_id == "which");
  CHECK(read->client_id == "client");
  CHECK(read->connected);
  REQUIRE(read->will);
  CHECK(read->will->topic() == "devices/pump-7/events/bye");
  CHECK(read->will_delay_seconds == 5);
}

TEST_CASE("a session's record that is cut short anywhere is damaged") {
  const std::string whole = encode_session(full_record());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(decode_session(whole.substr(0, size)).has_value());
  }
  std::string newer = whole;
  newer[0] = 4;
  CHECK_FALSE(decode_session(newer).has_value());
}

TEST_CASE("a session's record of the first version has no credentials") {
  std::string old{1, 0};
  old.push_back(static_cast<char>(plugin::IdentityKind::device));
  old.push_back(static_cast<char>(plugin::PolicyKind::device));
  append_text(old, "pump-7");
  append_text(old, "client");
  append_big_endian(old, std::uint32_t{60});
  old.push_back(0);
  append_big_endian(old, std::int64_t{42});
  old.push_back(0);
  const auto read = decode_session(old);
  REQUIRE(read.has_value());
  CHECK(read->identity.name == "pump-7");
  CHECK(read->identity.certificate_serial.empty());
  CHECK(read->identity.not_after == WallTime::max());
  CHECK(read->expiry_seconds == 60);
  CHECK(read->disconnected_at == wall_from_epoch(42));
  CHECK_FALSE(read->will);
}
