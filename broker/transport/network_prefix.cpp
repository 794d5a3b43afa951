// Cutting the host bits off.
#include "transport/network_prefix.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace skerry::transport {

namespace {

constexpr std::size_t mapped_at = 12;  // where IPv4 stands in ::ffff:0:0/96

void keep_bits(std::uint8_t* bytes, std::size_t size, unsigned bits) noexcept {
  for (std::size_t i = 0; i < size; ++i) {
    const auto before = static_cast<unsigned>(8 * i);
    const unsigned kept = bits <= before ? 0 : std::min(bits - before, 8U);
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xFF00U >> kept));
  }
}

}  // namespace

NetworkPrefix NetworkPrefix::of(const sockaddr_storage& address, PrefixLengths lengths) noexcept {
  NetworkPrefix prefix;
  std::uint8_t* const out = prefix.bytes_.data() + 1;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof v4);
    prefix.bytes_[0] = 4;
    std::memcpy(out, &v4.sin_addr, 4);
    keep_bits(out, 4, lengths.v4);
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      prefix.bytes_[0] = 4;
      std::memcpy(out, v6.sin6_addr.s6_addr + mapped_at, 4);
      keep_bits(out, 4, lengths.v4);
    } else {
      prefix.bytes_[0] = 6;
      std::memcpy(out, &v6.sin6_addr, 16);
      keep_bits(out, 16, lengths.v6);
    }
  }
  return prefix;
}

}  // namespace skerry::transport
