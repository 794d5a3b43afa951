#include "routing/level_table.hpp"

#include <cstring>

#include "base/assert.hpp"

namespace skerry::routing {

LevelTable::~LevelTable() = default;

LevelTable::Level::Level(std::string_view text) : size(static_cast<std::uint16_t>(text.size())) {
  static_assert(sizeof(Level) == 24);
  SKERRY_ASSERT(text.size() <= 0xFFFF);
  char* place = inside;
  if (text.size() > inside_max) {
    place = new char[text.size()];
    std::memcpy(inside, &place, sizeof place);
  }
  std::memcpy(place, text.data(), text.size());
}

LevelTable::Level::~Level() {
  if (size > inside_max) {
    delete[] outside();
  }
}

char* LevelTable::Level::outside() const noexcept {
  char* place = nullptr;
  std::memcpy(&place, inside, sizeof place);
  return place;
}

std::string_view LevelTable::Level::name() const noexcept {
  return {size > inside_max ? outside() : inside, size};
}

std::uint32_t LevelTable::find(std::string_view name, std::uint32_t hash) const noexcept {
  return table_.find(hash,
                     [&](std::uint32_t level) noexcept { return levels_[level].name() == name; });
}

std::uint32_t LevelTable::find(std::string_view name) const noexcept {
  return table_.size() == 0 ? 0 : find(name, hash(name));
}

std::uint32_t LevelTable::acquire(std::string_view name) {
  const std::uint32_t name_hash = hash(name);
  std::uint32_t level = find(name, name_hash);
  if (level == 0) {
    level = levels_.emplace(name);
    table_.insert(name_hash, level);
  }
  ++levels_[level].references;
  return level;
}

void LevelTable::release(std::uint32_t level) {
  SKERRY_ASSERT(levels_[level].references > 0);
  if (--levels_[level].references == 0) {
    table_.erase(hash(levels_[level].name()), level);
    levels_.erase(level);
  }
}

}  // namespace skerry::routing
