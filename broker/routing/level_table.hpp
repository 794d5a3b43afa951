// LevelTable: the names of topic levels, each kept once and named by a number, so that a level of a
// topic is hashed and compared once per match however many branches ask for it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/keyed_hash.hpp"
#include "routing/index_table.hpp"
#include "routing/slab.hpp"

namespace skerry::routing {

/// Belongs to one trie.
class LevelTable {
 public:
  explicit LevelTable(HashKey key) noexcept : key_(key) {}
  LevelTable(const LevelTable&) = delete;
  LevelTable& operator=(const LevelTable&) = delete;
  ~LevelTable();

  /// The number of `name`, 0 when nobody holds it. O(length), no allocation.
  std::uint32_t find(std::string_view name) const noexcept;

  /// The number of `name`, held once more. `name` has at most 65,535 bytes.
  std::uint32_t acquire(std::string_view name);

  /// Lets go of it once.
  void release(std::uint32_t level);

  /// Lives as long as somebody holds `level`.
  std::string_view name(std::uint32_t level) const noexcept { return levels_[level].name(); }

  std::uint32_t size() const noexcept { return levels_.size(); }

 private:
  /// Short names lie inside, longer ones behind a pointer that is kept in the same bytes.
  struct Level {
    static constexpr std::size_t inside_max = 18;

    explicit Level(std::string_view text);
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level();
    std::string_view name() const noexcept;
    char* outside() const noexcept;

    std::uint32_t references = 0;
    std::uint16_t size;
    char inside[inside_max];
  };

  std::uint32_t hash(std::string_view name) const noexcept {
    return static_cast<std::uint32_t>(keyed_hash(key_, name));
  }
  std::uint32_t find(std::string_view name, std::uint32_t hash) const noexcept;

  HashKey key_;
  Slab<Level> levels_;
  IndexTable table_;
};

}  // namespace skerry::routing
