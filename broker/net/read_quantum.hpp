// ReadQuantum: how much one read of a connection may take, so that it makes no more than some
// thousand deliveries. Sixty packets of a publisher with a thousand subscribers are sixty thousand
// of them: read at once, they are a turn that everybody else on the core waits for. Deliveries and
// not microseconds are counted, so that the same packets are read alike on every machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace skerry::net {

class ReadQuantum {
 public:
  static constexpr std::size_t most = 64 * 1024;
  static constexpr std::size_t least = 1024;
  static constexpr std::uint64_t deliveries_max = 4'000;  ///< some two to four milliseconds

  std::size_t bytes() const noexcept { return bytes_; }
  bool reduced() const noexcept { return bytes_ < most; }

  /// A read brought so many bytes, and serving them made so many deliveries: the next one fits.
  /// Reads of less than `least` need not be told.
  void note(std::size_t read, std::uint64_t deliveries) noexcept {
    if (deliveries > deliveries_max) {
      const auto share = static_cast<std::size_t>(read * deliveries_max / deliveries);
      bytes_ = static_cast<std::uint32_t>(std::clamp(share, least, most));
    } else if (deliveries < deliveries_max / 2 && read >= bytes_) {
      bytes_ = static_cast<std::uint32_t>(std::min(most, bytes_ * std::size_t{2}));
    }
  }

 private:
  std::uint32_t bytes_ = most;
};

}  // namespace skerry::net
