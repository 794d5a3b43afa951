// Ring<T>: a queue in one growing block. An empty one owns no memory, which is why sessions use it
// where std::deque would cost half a kilobyte each. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "base/assert.hpp"

namespace skerry {

template <typename T>
class Ring {
 public:
  Ring() = default;
  Ring(Ring&& other) noexcept { swap(other); }
  Ring& operator=(Ring&& other) noexcept {
    Ring gone(std::move(other));
    swap(gone);
    return *this;
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() { reset(); }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  /// Element `index` counted from the front, 0 … size() − 1. The reference lives until the next
  /// push.
  T& operator[](std::size_t index) noexcept { return slots_[wrap(head_ + index)]; }
  const T& operator[](std::size_t index) const noexcept { return slots_[wrap(head_ + index)]; }
  T& front() noexcept { return (*this)[0]; }
  T& back() noexcept { return (*this)[size_ - 1]; }
  const T& back() const noexcept { return (*this)[size_ - 1]; }

  /// Amortised O(1).
  T& push_back(T value) {
    if (size_ == capacity_) {
      grow();
    }
    T* slot = std::construct_at(&slots_[wrap(head_ + size_)], std::move(value));
    ++size_;
    return *slot;
  }

  T& push_front(T value) {
    if (size_ == capacity_) {
      grow();
    }
    head_ = wrap(head_ + capacity_ - 1);
    T* slot = std::construct_at(&slots_[head_], std::move(value));
    ++size_;
    return *slot;
  }

  /// Removes the front; the last removal gives the memory back once it has grown beyond 64 slots.
  void pop_front() noexcept {
    SKERRY_ASSERT(size_ > 0);
    std::destroy_at(&slots_[head_]);
    head_ = wrap(head_ + 1);
    if (--size_ == 0 && capacity_ > 64) {
      reset();
    }
  }

  /// Removes every element for which `dead(element)` holds, keeping the order. O(size).
  template <typename Predicate>
  std::size_t erase_if(Predicate dead) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      if (!dead((*this)[i])) {
        if (kept != i) {
          (*this)[kept] = std::move((*this)[i]);
        }
        ++kept;
      }
    }
    const std::size_t removed = size_ - kept;
    for (std::size_t i = kept; i < size_; ++i) {
      std::destroy_at(&(*this)[i]);
    }
    size_ = static_cast<std::uint32_t>(kept);
    return removed;
  }

  /// Drops all elements and the memory.
  void reset() noexcept {
    for (std::size_t i = 0; i < size_; ++i) {
      std::destroy_at(&(*this)[i]);
    }
    if (slots_ != nullptr) {
      std::allocator<T>{}.deallocate(slots_, capacity_);
    }
    slots_ = nullptr;
    capacity_ = head_ = size_ = 0;
  }

 private:
  // The capacity is a power of two, so wrapping is a mask.
  std::uint32_t wrap(std::size_t index) const noexcept {
    return static_cast<std::uint32_t>(index) & (capacity_ - 1);
  }

  void grow() {
    SKERRY_ASSERT(capacity_ <= UINT32_MAX / 2);
    const std::uint32_t larger = capacity_ == 0 ? 4 : capacity_ * 2;
    T* slots = std::allocator<T>{}.allocate(larger);
    for (std::size_t i = 0; i < size_; ++i) {
      std::construct_at(&slots[i], std::move((*this)[i]));
      std::destroy_at(&(*this)[i]);
    }
    if (slots_ != nullptr) {
      std::allocator<T>{}.deallocate(slots_, capacity_);
    }
    slots_ = slots;
    capacity_ = larger;
    head_ = 0;
  }

  void swap(Ring& other) noexcept {
    std::swap(slots_, other.slots_);
    std::swap(capacity_, other.capacity_);
    std::swap(head_, other.head_);
    std::swap(size_, other.size_);
  }

  // 32 bits: three of these are in every session, and what they hold is capped far below.
  T* slots_ = nullptr;
  std::uint32_t capacity_ = 0;
  std::uint32_t head_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace skerry
