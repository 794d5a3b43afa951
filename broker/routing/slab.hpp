// Slab<T>: objects in chunks, named by 32-bit numbers from 1 on: half the size of pointers, stable
// addresses, no allocation per object and no copying when it grows. Belongs to one core.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.hpp"

namespace skerry::routing {

template <typename T>
class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { clear(); }

  std::uint32_t size() const noexcept { return size_; }

  T& operator[](std::uint32_t index) noexcept { return *at(index); }
  const T& operator[](std::uint32_t index) const noexcept { return *at(index); }

  /// The number of the new object, never 0; numbers of erased objects are used again.
  template <typename... Arguments>
  std::uint32_t emplace(Arguments&&... arguments) {
    const std::uint32_t index = free_.empty() ? fresh() : free_.back();
    std::construct_at(at(index), std::forward<Arguments>(arguments)...);
    if (index == used_ + 1) {
      ++used_;
    } else {
      free_.pop_back();
    }
    alive(index) = true;
    ++size_;
    return index;
  }

  /// The last object gives all memory back.
  void erase(std::uint32_t index) {
    SKERRY_ASSERT(alive(index));
    std::destroy_at(at(index));
    alive(index) = false;
    if (--size_ == 0) {
      clear();
    } else {
      free_.push_back(index);
    }
  }

  /// Calls visit(number, object) for each, lowest number first. O(most objects there ever were).
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    for (std::uint32_t index = 1; index <= used_; ++index) {
      if (alive(index)) {
        visit(index, (*this)[index]);
      }
    }
  }

  void clear() noexcept {
    for (std::uint32_t index = 1; size_ > 0 && index <= used_; ++index) {
      if (alive(index)) {
        std::destroy_at(at(index));
      }
    }
    chunks_ = std::vector<std::unique_ptr<Chunk>>();
    free_ = std::vector<std::uint32_t>();
    used_ = size_ = 0;
  }

 private:
  static constexpr std::uint32_t chunk_size = 256;

  struct Chunk {
    alignas(T) std::byte bytes[sizeof(T) * chunk_size];
    std::bitset<chunk_size> alive;
  };

  std::uint32_t fresh() {
    if (used_ == chunks_.size() * chunk_size) {
      chunks_.push_back(std::make_unique_for_overwrite<Chunk>());
    }
    return used_ + 1;
  }

  T* at(std::uint32_t index) const noexcept {
    std::byte* bytes = chunks_[(index - 1) / chunk_size]->bytes;
    return reinterpret_cast<T*>(bytes + sizeof(T) * ((index - 1) % chunk_size));
  }

  typename std::bitset<chunk_size>::reference alive(std::uint32_t index) noexcept {
    return chunks_[(index - 1) / chunk_size]->alive[(index - 1) % chunk_size];
  }
  bool alive(std::uint32_t index) const noexcept {
    return chunks_[(index - 1) / chunk_size]->alive[(index - 1) % chunk_size];
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;  // numbers 1 … used_ have been given out
  std::uint32_t size_ = 0;
};

}  // namespace skerry::routing
