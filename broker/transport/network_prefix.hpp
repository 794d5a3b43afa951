// NetworkPrefix: the part of a peer's address that one customer of a network has, as 17 bytes that
// compare and hash. Limits "per address" count by it: with whole IPv6 addresses everybody would
// have 2^64 of them.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace skerry::transport {

/// How many leading bits count.
struct PrefixLengths {
  std::uint8_t v4 = 32;
  std::uint8_t v6 = 64;
};

class NetworkPrefix {
 public:
  /// Of an IPv4, IPv6 or IPv4-mapped address; any other family gives the same empty prefix.
  static NetworkPrefix of(const sockaddr_storage& address, PrefixLengths lengths) noexcept;

  /// For keyed_hash(). Lives as long as the prefix.
  std::string_view bytes() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

  bool operator==(const NetworkPrefix&) const = default;

 private:
  std::array<std::uint8_t, 17> bytes_{};  // 4, 6 or 0, then the address without its host bits
};

}  // namespace skerry::transport
