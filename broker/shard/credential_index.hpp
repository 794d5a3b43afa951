// CredentialIndex: the sessions that a certificate or a key has opened, by serial and fingerprint.
// Identities hold the texts; the index keeps 16 bytes for each in one open-addressed table, so that
// a connection that does nothing stays cheap. Of sessions that share a credential one stands in the
// table and the others in a set beside it: in the table they would all want the same place, and
// thousands of them would make each step as long as they are many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/keyed_hash.hpp"

namespace skerry::session {
class Session;
}

namespace skerry::shard {

/// Belongs to one core. A session stands in it under the credentials its identity has now, so it is
/// removed before that changes.
class CredentialIndex {
 public:
  explicit CredentialIndex(HashKey key) : key_(key) {}

  /// Under serial and fingerprint, as far as the identity has them. Amortised O(1), as is remove().
  void add(session::Session& session);
  /// Nothing when it is not there.
  void remove(session::Session& session);

  /// One session that `credential` (serial or fingerprint) has opened; nullptr when there is none.
  session::Session* find(std::string_view credential) const noexcept;

  /// Entries, up to two for each session.
  std::size_t size() const noexcept { return size_ + others_size_; }
  std::size_t memory_bytes() const noexcept {
    return slots_.capacity() * sizeof(Slot) + others_size_ * other_bytes;
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    session::Session* session = nullptr;  ///< null: free
  };

  std::size_t home(std::uint64_t hash) const noexcept { return hash & (slots_.size() - 1); }
  void add(std::string_view credential, session::Session& session);
  void remove(std::string_view credential, session::Session& session);
  Slot* find_slot(std::uint64_t hash) noexcept;
  void remove_slot(std::size_t at);
  void remove_other(std::uint64_t hash, session::Session& session);
  void place(Slot slot) noexcept;
  void resize(std::size_t slots);

  HashKey key_;
  // About what one node of a set and its bucket take.
  static constexpr std::size_t other_bytes = 32;

  std::vector<Slot> slots_;  ///< a power of two, at most ¾ full; linear probing; no hash twice
  std::size_t size_ = 0;
  std::unordered_map<std::uint64_t, std::unordered_set<session::Session*>> others_;
  std::size_t others_size_ = 0;
};

}  // namespace skerry::shard
