#include "auth/audit_record.hpp"

#include "base/limits.hpp"
#include "crypto/hash.hpp"
#include "mqtt/topic.hpp"

namespace skerry::auth {
namespace {

constexpr char record_version = 1;
constexpr std::size_t hash_bytes = 32;
constexpr std::size_t head_bytes = 1 + 2 * hash_bytes;

void append_number(std::string& out, std::uint64_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>(number >> shift & 0xFF);
  }
}

void append_text(std::string& out, std::string_view text) {
  append_number(out, text.size(), 4);
  out.append(text);
}

std::string canonical(const AuditRecord& record) {
  std::string out;
  append_number(out, record.sequence, 8);
  append_number(out, static_cast<std::uint64_t>(epoch_milliseconds(record.time)), 8);
  const plugin::AuditEvent& event = record.event;
  for (const std::string* text : {&event.actor, &event.action, &event.object, &event.outcome,
                                  &event.detail, &event.address}) {
    append_text(out, *text);
  }
  return out;
}

/// Takes numbers and texts off the front of a text; `ok` ends as false when it is too short.
struct Taker {
  std::string_view rest;
  bool ok = true;

  std::string_view take(std::size_t count) {
    if (rest.size() < count) {
      ok = false;
      rest = {};
      return {};
    }
    const std::string_view part = rest.substr(0, count);
    rest.remove_prefix(count);
    return part;
  }
  std::uint64_t number(int bytes) {
    std::uint64_t value = 0;
    for (const char byte : take(static_cast<std::size_t>(bytes))) {
      value = value << 8 | static_cast<unsigned char>(byte);
    }
    return value;
  }
  std::string text() {
    const auto count = static_cast<std::size_t>(number(4));
    return std::string{take(count)};
  }
};

std::string chain_hash(std::string_view previous, std::string_view record) {
  std::string bytes{previous};
  bytes.append(record);
  return crypto::sha256(bytes);
}

void clean_text(std::string& text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    std::size_t end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
      --end;
    }
    text.resize(end);
  }
  const bool is_utf8 = mqtt::is_valid_utf8(text);
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || (!is_utf8 && byte >= 0x80)) {
      c = '?';
    }
  }
}

}  // namespace

std::string audit_key(std::uint64_t sequence) {
  std::string key{audit_prefix};
  append_number(key, sequence, 8);
  return key;
}

std::uint64_t sequence_of(std::string_view key) noexcept {
  if (key.size() != audit_prefix.size() + 8) {
    return 0;
  }
  Taker taker{key.substr(audit_prefix.size())};
  return taker.number(8);
}

void clean(plugin::AuditEvent& event) {
  clean_text(event.actor, audit_name_bytes_max);
  clean_text(event.action, audit_name_bytes_max);
  clean_text(event.object, audit_object_bytes_max);
  clean_text(event.outcome, audit_name_bytes_max);
  clean_text(event.detail, audit_detail_bytes_max);
  clean_text(event.address, audit_name_bytes_max);
}

std::string link_audit(const AuditRecord& record, AuditHead& head) {
  const std::string bytes = canonical(record);
  std::string hash = chain_hash(head.hash, bytes);
  std::string value(1, record_version);
  value.append(head.hash).append(hash).append(bytes);
  head = {record.sequence, std::move(hash)};
  return value;
}

std::optional<StoredAudit> read_audit(std::string_view key, std::string_view value) {
  if (value.size() < head_bytes || value.front() != record_version ||
      !key.starts_with(audit_prefix)) {
    return std::nullopt;
  }
  StoredAudit stored;
  stored.previous = value.substr(1, hash_bytes);
  stored.hash = value.substr(1 + hash_bytes, hash_bytes);
  const std::string_view bytes = value.substr(head_bytes);
  Taker taker{bytes};
  AuditRecord& record = stored.record;
  record.sequence = taker.number(8);
  record.time = wall_from_epoch(static_cast<std::int64_t>(taker.number(8)));
  plugin::AuditEvent& event = record.event;
  for (std::string* text : {&event.actor, &event.action, &event.object, &event.outcome,
                            &event.detail, &event.address}) {
    *text = taker.text();
  }
  if (!taker.ok || !taker.rest.empty()) {
    return std::nullopt;
  }
  stored.is_sound =
      key == audit_key(record.sequence) && chain_hash(stored.previous, bytes) == stored.hash;
  return stored;
}

std::string encode_anchor(const AuditAnchor& anchor) {
  std::string value(1, record_version);
  append_number(value, anchor.first, 8);
  return value.append(anchor.previous);
}

std::optional<AuditAnchor> read_anchor(std::string_view value) {
  if (value.size() != 1 + 8 + hash_bytes || value.front() != record_version) {
    return std::nullopt;
  }
  Taker taker{value.substr(1)};
  AuditAnchor anchor;
  anchor.first = taker.number(8);
  anchor.previous = taker.rest;
  return anchor;
}

}  // namespace skerry::auth
