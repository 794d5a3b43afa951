// Sets of devices for the index.
#include "auth/device_set.hpp"

#include <algorithm>

namespace skerry::auth {
namespace {

/// Lists longer than this and denser than one number in 32 become bits.
constexpr std::size_t list_max = 1024;

}  // namespace

void DeviceSet::add(DeviceNumber number) {
  if (number / 64 >= words_.size()) {
    words_.resize(number / 64 + 1);
  }
  words_[number / 64] |= std::uint64_t{1} << (number % 64);
}

void DeviceSet::remove(DeviceNumber number) noexcept {
  if (number / 64 < words_.size()) {
    words_[number / 64] &= ~(std::uint64_t{1} << (number % 64));
  }
}

std::size_t DeviceSet::count() const noexcept {
  std::size_t sum = 0;
  for (const std::uint64_t word : words_) {
    sum += static_cast<std::size_t>(std::popcount(word));
  }
  return sum;
}

bool DeviceSet::empty() const noexcept {
  return std::all_of(words_.begin(), words_.end(), [](std::uint64_t word) { return word == 0; });
}

DeviceSet& DeviceSet::operator|=(const DeviceSet& other) {
  if (words_.size() < other.words_.size()) {
    words_.resize(other.words_.size());
  }
  for (std::size_t index = 0; index < other.words_.size(); ++index) {
    words_[index] |= other.words_[index];
  }
  return *this;
}

DeviceSet& DeviceSet::operator&=(const DeviceSet& other) noexcept {
  for (std::size_t index = 0; index < words_.size(); ++index) {
    words_[index] &= index < other.words_.size() ? other.words_[index] : 0;
  }
  return *this;
}

DeviceSet& DeviceSet::operator-=(const DeviceSet& other) noexcept {
  const std::size_t both = std::min(words_.size(), other.words_.size());
  for (std::size_t index = 0; index < both; ++index) {
    words_[index] &= ~other.words_[index];
  }
  return *this;
}

void Posting::add(DeviceNumber number) {
  if (has_bits_) {
    count_ += bits_.has(number) ? 0 : 1;
    bits_.add(number);
    return;
  }
  const auto at = std::lower_bound(list_.begin(), list_.end(), number);
  if (at != list_.end() && *at == number) {
    return;
  }
  list_.insert(at, number);
  ++count_;
  if (count_ > list_max && list_.back() / 32 < count_) {
    add_to(bits_);
    list_ = {};
    has_bits_ = true;
  }
}

void Posting::remove(DeviceNumber number) noexcept {
  if (has_bits_) {
    count_ -= bits_.has(number) ? 1 : 0;
    bits_.remove(number);
    return;
  }
  const auto at = std::lower_bound(list_.begin(), list_.end(), number);
  if (at != list_.end() && *at == number) {
    list_.erase(at);
    --count_;
  }
}

void Posting::add_to(DeviceSet& set) const {
  if (has_bits_) {
    set |= bits_;
  }
  for (const DeviceNumber number : list_) {
    set.add(number);
  }
}

}  // namespace skerry::auth
