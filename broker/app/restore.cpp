// The order is that of Shard::load: whoever is referred to comes first.
#include "app/restore.hpp"

#include <array>
#include <stdexcept>

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

}  // namespace

Restored restore_sessions(const storage::KvStore& store, net::Server& server, Log& log, Now now) {
  Restored restored;
  for (const Family family : families) {
    const auto iterator = store.scan(family, {});
    if (iterator == nullptr) {
      throw std::runtime_error("the store closed while it was being read");
    }
    for (iterator->seek_first(); iterator->valid(); iterator->next()) {
      ++restored.records;
      if (server.load(family, iterator->key(), iterator->value(), now)) {
        continue;
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
  return restored;
}

}  // namespace skerry::app
