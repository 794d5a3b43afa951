// RateTable: one token bucket and one count of what is open for each key (a network, an owner), in
// bounded memory. An entry is forgotten only when that gives nothing away: nothing is open and its
// bucket is full again. So nobody gets new tokens by pushing himself out of the table; when every
// entry is needed, keys that are new share one entry until there is room, and no old one suffers.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/token_bucket.hpp"

namespace skerry {

class RateTable {
 public:
  /// `entries_max` at least 1. Keys are hashes under a key that peers do not know: two that collide
  /// share an entry.
  RateTable(Rate rate, std::size_t entries_max);

  /// Names an entry as long as something is open there; see open().
  using Handle = std::uint32_t;

  /// Takes one token of `key`. False: it has none left. Amortised O(1).
  bool take(std::uint64_t key, SteadyTime now);

  /// What is open under `key`.
  std::uint32_t open_count(std::uint64_t key) const noexcept;
  /// Counts one more, until close().
  Handle open(std::uint64_t key, SteadyTime now);
  void close(Handle handle) noexcept;

  std::size_t size() const noexcept { return index_.size(); }
  /// How often a key had to share the common entry.
  std::uint64_t shared_count() const noexcept { return shared_count_; }

 private:
  struct Entry {
    std::uint64_t key = 0;
    TokenBucket bucket;
    std::uint32_t open = 0;
    bool used = false;
  };
  // The common entry.
  static constexpr Handle shared = 0;
  // Entries that are looked at for one new key: all are seen before the table can fill up again.
  static constexpr std::size_t looks = 4;

  Handle find_or_add(std::uint64_t key, SteadyTime now);
  void forget_some(SteadyTime now);

  // The keys are hashes already.
  struct Identity {
    std::size_t operator()(std::uint64_t key) const noexcept { return key; }
  };

  Rate rate_;
  std::size_t entries_max_;
  std::vector<Entry> entries_;
  std::vector<Handle> free_;
  std::unordered_map<std::uint64_t, Handle, Identity> index_;
  std::size_t hand_ = 0;  // where the next look for what may be forgotten begins
  std::uint64_t shared_count_ = 0;
};

}  // namespace skerry
