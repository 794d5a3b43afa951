// Sets of devices for the index: a device is a small number there, a set is a bit for each. A
// posting is the set of one value: a sorted list while few devices have it, bits when many do.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace skerry::auth {

/// Index of a device in a DeviceIndex; reused when the device has gone.
using DeviceNumber = std::uint32_t;

class DeviceSet {
 public:
  /// Empty, for numbers below `size`.
  explicit DeviceSet(std::size_t size = 0) : words_((size + 63) / 64) {}

  /// Grows to hold `number`.
  void add(DeviceNumber number);
  void remove(DeviceNumber number) noexcept;
  bool has(DeviceNumber number) const noexcept {
    return number / 64 < words_.size() && ((words_[number / 64] >> (number % 64)) & 1) != 0;
  }
  std::size_t count() const noexcept;
  bool empty() const noexcept;

  /// Sets of different sizes are those of the larger one with nothing above.
  DeviceSet& operator|=(const DeviceSet& other);
  DeviceSet& operator&=(const DeviceSet& other) noexcept;
  DeviceSet& operator-=(const DeviceSet& other) noexcept;

  /// In the order of numbers.
  template <typename Visit>
  void each(Visit visit) const {
    for (std::size_t index = 0; index < words_.size(); ++index) {
      for (std::uint64_t word = words_[index]; word != 0; word &= word - 1) {
        visit(static_cast<DeviceNumber>(index * 64 +
                                        static_cast<std::size_t>(std::countr_zero(word))));
      }
    }
  }

 private:
  std::vector<std::uint64_t> words_;
};

/// Takes 4 bytes a device or a bit for each number there is, whatever is less, within a factor.
class Posting {
 public:
  void add(DeviceNumber number);
  void remove(DeviceNumber number) noexcept;
  bool empty() const noexcept { return count_ == 0; }
  void add_to(DeviceSet& set) const;

 private:
  std::size_t count_ = 0;
  std::vector<DeviceNumber> list_;  ///< sorted; empty once there are bits
  DeviceSet bits_;
  bool has_bits_ = false;
};

}  // namespace skerry::auth
