// The order is that of Shard::load: whoever is referred to comes first.
#include "app/restore.hpp"

#include <array>
#include <stdexcept>

#include "base/byte_order.hpp"
#include "shard/records.hpp"

namespace skerry::app {

namespace {

using storage::Family;

constexpr std::array families{Family::sessions, Family::subscriptions, Family::messages,
                              Family::acks,     Family::inflight,      Family::retained};

// Damaged records that are named one by one; the rest only counts.
constexpr std::uint64_t damaged_named_max = 20;

std::string hexadecimal(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes.substr(0, 64)) {
    text.push_back(digits[static_cast<std::uint8_t>(byte) >> 4]);
    text.push_back(digits[static_cast<std::uint8_t>(byte) & 15]);
  }
  return text;
}

bool is_orphan(std::string_view value, const IsRegistered& is_registered) {
  if (shard::is_group_record(value)) {
    return false;
  }
  const auto session = shard::decode_session(value);
  return session && session->identity.kind == plugin::IdentityKind::device &&
         !is_registered(session->identity.name);
}

/// All records of a session but its messages, which the shards clean up as nobody waits for them.
void erase_session(std::string_view key, storage::Batch& batch) {
  const std::string next = shard::durable_key(DurableId{read_big_endian<std::uint64_t>(key) + 1});
  batch.erase(Family::sessions, key);
  batch.erase_range(Family::subscriptions, key, next);
  batch.erase_range(Family::inflight, key, next);
}

}  // namespace

Restored restore_sessions(const storage::KvStore& store, storage::Committer& committer,
                          const IsRegistered& is_registered, net::Server& server, Log& log, Now now,
                          const SetAside& set_aside) {
  Restored restored;
  storage::Batch orphans;
  for (const Family family : families) {
    const auto iterator = store.scan(family, {});
    if (iterator == nullptr) {
      throw std::runtime_error("the store closed while it was being read");
    }
    for (iterator->seek_first(); iterator->valid(); iterator->next()) {
      ++restored.records;
      if (family == Family::sessions && iterator->key().size() == sizeof(std::uint64_t) &&
          is_orphan(iterator->value(), is_registered)) {
        ++restored.orphaned;
        erase_session(iterator->key(), orphans);
        continue;
      }
      if (server.load(family, iterator->key(), iterator->value(), now)) {
        continue;
      }
      if (set_aside) {
        set_aside(family, iterator->key(), iterator->value());
      }
      if (++restored.damaged <= damaged_named_max) {
        log.write(LogLevel::error, "record_damaged",
                  {{"family", storage::name_of(family)},
                   {"key", hexadecimal(iterator->key())},
                   {"detail", "it was skipped"}});
      }
    }
    if (const storage::Status status = iterator->status(); !status.ok()) {
      throw std::runtime_error("reading the stored " + std::string(storage::name_of(family)) +
                               " failed: " + status.detail);
    }
  }
  if (!orphans.empty()) {
    committer.submit(std::move(orphans), [](const storage::Status&) {});  // else at the next start
  }
  return restored;
}

}  // namespace skerry::app
