// Batch: changes that are stored together or not at all. It is filled on a core (append to one
// block of memory, no engine call) and turned into the engine's form by the committer.
//
// One operation: kind (1) family (1) key length (4) value length (4) key value, native byte order:
// a batch lives in memory only.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/assert.hpp"

namespace skerry::storage {

/// One column family per concern. The names and numbers are on disk: append, never reorder.
///
/// Keys of `messages`, `acks` and `series_log` are put exactly once and erased at most once after
/// that: their erase is a SingleDelete, which takes record and tombstone away together. A second
/// put of a key that is still there would let the older value come back after the erase; a key that
/// was erased may be put again. MemoryStore asserts this.
enum class Family : std::uint8_t {
  meta = 0,             ///< format_version and other single values
  sessions = 1,         ///< durable id → session or shared group
  subscriptions = 2,    ///< durable id, filter → options
  messages = 3,         ///< message id → message with its recipients
  acks = 4,             ///< message id, durable id → this recipient is done
  inflight = 5,         ///< durable id, direction, packet id → QoS 2 state
  retained = 6,         ///< topic → message
  registry = 7,         ///< devices, keys, certificates
  series = 8,           ///< telemetry, a record per sample: older form, read to be converted
  series_latest = 9,    ///< newest sample of each series that is in a chunk
  documents = 10,       ///< twin documents, commands, jobs
  admin = 11,           ///< users, tokens, audit
  series_log = 12,      ///< telemetry as it came, until it is in chunks
  series_chunks = 13,   ///< telemetry, compressed
  series_rollups = 14,  ///< telemetry by minute, hour and day
  count_,
};

inline constexpr std::uint8_t family_count = static_cast<std::uint8_t>(Family::count_);

/// "meta", "sessions", … as named in the engine.
std::string_view name_of(Family family) noexcept;

class Batch {
 public:
  enum class Kind : std::uint8_t { put, erase, erase_range };

  void put(Family family, std::string_view key, std::string_view value) {
    append(Kind::put, family, key, value);
  }
  void erase(Family family, std::string_view key) { append(Kind::erase, family, key, {}); }
  /// Removes all keys k with from ≤ k < to; nothing when `to` is empty or not behind `from`.
  void erase_range(Family family, std::string_view from, std::string_view to) {
    append(Kind::erase_range, family, from, to);
  }
  /// Adds the operations of `other` behind one's own.
  void append(const Batch& other) {
    operations_ += other.operations_;
    count_ += other.count_;
  }

  bool empty() const noexcept { return count_ == 0; }
  std::uint32_t count() const noexcept { return count_; }
  std::size_t size_bytes() const noexcept { return operations_.size(); }
  void clear() noexcept {
    operations_.clear();
    count_ = 0;
  }

  /// Calls visit(Kind, Family, key, value) for each operation in order; for erase_range `value` is
  /// the end of the range. The views live as long as the batch is not changed.
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    std::string_view rest = operations_;
    while (!rest.empty()) {
      std::uint32_t key_size = 0;
      std::uint32_t value_size = 0;
      std::memcpy(&key_size, rest.data() + 2, 4);
      std::memcpy(&value_size, rest.data() + 6, 4);
      visit(static_cast<Kind>(rest[0]), static_cast<Family>(rest[1]), rest.substr(10, key_size),
            rest.substr(10 + key_size, value_size));
      rest.remove_prefix(10 + std::size_t{key_size} + value_size);
    }
  }

 private:
  void append(Kind kind, Family family, std::string_view key, std::string_view value) {
    SKERRY_ASSERT(key.size() <= UINT32_MAX && value.size() <= UINT32_MAX);
    const auto key_size = static_cast<std::uint32_t>(key.size());
    const auto value_size = static_cast<std::uint32_t>(value.size());
    char head[10];
    head[0] = static_cast<char>(kind);
    head[1] = static_cast<char>(family);
    std::memcpy(head + 2, &key_size, 4);
    std::memcpy(head + 6, &value_size, 4);
    operations_.append(head, sizeof head).append(key).append(value);
    ++count_;
  }

  std::string operations_;
  std::uint32_t count_ = 0;
};

}  // namespace skerry::storage
